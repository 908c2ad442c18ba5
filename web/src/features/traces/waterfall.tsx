import { ChevronRight, CornerDownRight } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button as AriaButton } from "react-aria-components";

import type { Trace } from "@/api/traces";
import { indented } from "@/shared/format/json";
import { duration } from "@/shared/format/numbers";
import { Badge } from "@/shared/ui/badge";
import { classes } from "@/shared/ui/classes";
import { CopyButton } from "@/shared/ui/copy";
import { Panel } from "@/shared/ui/page";

import { type Lane, lanesOf, type Stretch, ticksOf } from "./timeline";
import styles from "./waterfall.module.css";

/** The spans of a call, the root first, on one line of time; why an attempt failed, and what was done then. */
export function Waterfall({ trace }: { trace: Trace }) {
  const { t } = useTranslation();
  const { lanes, length } = lanesOf(trace);
  const at = (ms: number) => `${(ms / length) * 100}%`;
  const place = ({ from, to }: Stretch) => ({ left: at(from), width: at(to - from) });
  return (
    <Panel flush>
      <div className={styles.axis}>
        <h2 className={styles.title}>{t("traces.timeline")}</h2>
        <div className={styles.track} aria-hidden="true">
          {ticksOf(length).map((tick) => (
            <span key={tick} className={styles.tick} style={{ left: at(tick) }}>
              {tick === 0 ? "0" : duration(tick)}
            </span>
          ))}
        </div>
        <span />
      </div>
      <ol className={styles.lanes}>
        {lanes.map((lane) => (
          <LaneRow key={lane.id} lane={lane} ticks={ticksOf(length)} at={at} place={place} />
        ))}
      </ol>
      <div className={styles.legend} aria-hidden="true">
        <span data-key="byte">{t("traces.firstByte")}</span>
        <span data-key="token">{t("traces.firstToken")}</span>
        {lanes.some(({ wait }) => wait) && <span data-key="wait">{t("traces.waited")}</span>}
      </div>
    </Panel>
  );
}

function LaneRow({
  lane,
  ticks,
  at,
  place,
}: {
  lane: Lane;
  ticks: readonly number[];
  at: (ms: number) => string;
  place: (stretch: Stretch) => { left: string; width: string };
}) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const took = lane.bar.to - lane.bar.from;
  const { attempt } = lane;
  return (
    <li className={classes(styles.lane, lane.failed && attempt && styles.failed)}>
      <div className={styles.row}>
        <AriaButton
          className={classes(styles.name, attempt && styles.child)}
          aria-expanded={open}
          onPress={() => setOpen(!open)}
        >
          <ChevronRight aria-hidden="true" className={styles.chevron ?? ""} />
          {attempt && <span className="faint numbers">{attempt.no}</span>}
          <span className="truncate">{lane.name}</span>
        </AriaButton>
        <div className={styles.track}>
          {ticks.map((tick) => (
            <span key={tick} className={styles.grid} style={{ left: at(tick) }} aria-hidden="true" />
          ))}
          {lane.wait && (
            <span
              className={styles.wait}
              style={place(lane.wait)}
              title={t("traces.waitedFor", { time: duration(lane.wait.to - lane.wait.from) })}
            />
          )}
          <span
            className={classes(styles.bar, attempt ? styles.attempt : styles.call)}
            style={place(lane.bar)}
            title={t("traces.fromTo", { from: duration(lane.bar.from), to: duration(lane.bar.to) })}
          />
          {lane.firstByte !== null && (
            <span
              className={classes(styles.mark, styles.byte)}
              style={{ left: at(lane.firstByte) }}
              title={t("traces.firstByteAt", { time: duration(lane.firstByte) })}
            />
          )}
          {lane.firstToken !== null && (
            <span
              className={classes(styles.mark, styles.token)}
              style={{ left: at(lane.firstToken) }}
              title={t("traces.firstTokenAt", { time: duration(lane.firstToken) })}
            />
          )}
        </div>
        <span className={styles.took}>{attempt?.ended_ms === null ? "–" : duration(took)}</span>
      </div>
      {attempt && lane.failed && <Why lane={lane} />}
      {open && <Attributes lane={lane} />}
    </li>
  );
}

/** Why an attempt failed, and what was done then. */
function Why({ lane: { attempt, next, description } }: { lane: Lane }) {
  const { t } = useTranslation();
  if (!attempt) return null;
  const same = next?.provider === attempt.provider && next.model === attempt.model;
  const target = next && `${next.provider} · ${next.model}`;
  const wait = duration(next?.wait_ms);
  return (
    <div className={styles.why}>
      <p>
        <Badge tone="bad">{attempt.fault?.kind ?? t(`traces.status.${attempt.status}`)}</Badge>
        {(attempt.fault?.http_status ?? attempt.http_status) != null && (
          <span className="numbers">
            {t("traces.http", { status: attempt.fault?.http_status ?? attempt.http_status })}
          </span>
        )}
        <span>{attempt.fault?.message || description || t("traces.noReason")}</span>
      </p>
      <p className="muted">
        <CornerDownRight aria-hidden="true" />
        {target === null
          ? t("traces.noNext")
          : same
            ? t("traces.triedAgain", { wait })
            : t("traces.fellBackTo", { target, wait })}
      </p>
    </div>
  );
}

function Attributes({ lane }: { lane: Lane }) {
  const { t } = useTranslation();
  const rows = Object.entries(lane.attributes);
  return (
    <div className={styles.attributes}>
      <dl>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt className="mono">{name}</dt>
            <dd className="mono">{indented(value)}</dd>
          </div>
        ))}
      </dl>
      <CopyButton
        withText
        label={t("traces.copyAttributes")}
        text={`{${rows.map(([name, value]) => `${JSON.stringify(name)}: ${value}`).join(",\n ")}}`}
      />
    </div>
  );
}
