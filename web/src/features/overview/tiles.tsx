import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { Schemas } from "@/api/client";
import { costOf, costSaid, tokensOf, tokensSaid } from "@/shared/calls/sums";
import { Sparkline } from "@/shared/charts/sparkline";
import { change, count, duration, share, short } from "@/shared/format/numbers";
import { Hint } from "@/shared/ui/tooltip";
import { Skeleton } from "@/shared/ui/page";

import { measured } from "./fold";
import type { Metric } from "./search";
import styles from "./tiles.module.css";

type Usage = Schemas["Usage"];

/** The sums of the range. `shape`: the same by period, for the lines beside the figures. */
export function Tiles({ usage, shape }: { usage: Usage | undefined; shape: Usage | undefined }) {
  const { t } = useTranslation();
  if (!usage)
    return (
      <div className={styles.tiles}>
        {Array.from({ length: 6 }, (_, index) => (
          <Skeleton key={index} height="118px" />
        ))}
      </div>
    );
  const { measures, change: changed } = usage.total;
  const before = usage.total.previous ?? null;
  const line = (metric: Metric) => (shape?.rows ?? []).map((row) => measured(metric, row.measures));
  const tokens = tokensOf(measures);
  const tokensBefore = before && tokensOf(before);
  const cost = costOf(measures);
  const [saidTokens, saidCost] = [tokensSaid(measures, t), costSaid(measures, t)];
  return (
    <div className={styles.tiles}>
      <Tile
        name={t("overview.calls")}
        value={short(measures.calls)}
        whole={count(measures.calls)}
        changed={changed?.calls ?? null}
      >
        <Sparkline values={line("calls")} label={t("overview.calls")} />
      </Tile>
      <Tile
        name={t("overview.errors")}
        value={short(measures.errors)}
        whole={count(measures.errors)}
        detail={
          measures.calls ? t("overview.errorRate", { share: share(measures.errors / measures.calls) }) : undefined
        }
        changed={changed?.errors ?? null}
        more="bad"
      >
        <Sparkline values={line("errors")} label={t("overview.errors")} tone="bad" />
      </Tile>
      <Tile
        name={t("overview.tokens")}
        value={saidTokens.said}
        whole={[count(tokens), ...saidTokens.doubts].join("\n")}
        detail={t("overview.tokensDetail", {
          input: short(tokens === null ? null : measures.input_tokens),
          output: short(tokens === null ? null : measures.output_tokens),
        })}
        changed={tokens !== null && tokensBefore ? tokens / tokensBefore - 1 : null}
      >
        <Sparkline values={line("tokens")} label={t("overview.tokens")} />
      </Tile>
      <Tile
        name={t("overview.cost")}
        value={saidCost.said}
        whole={[...(cost === null ? [] : [`$${cost}`]), ...saidCost.doubts].join("\n")}
        changed={cost === null ? null : (changed?.cost ?? null)}
      >
        <Sparkline values={line("cost")} label={t("overview.cost")} />
      </Tile>
      <Times name={t("overview.latency")} times={measures.latency} before={before?.latency ?? null} />
      <Times name={t("overview.firstToken")} times={measures.first_token} before={before?.first_token ?? null} />
    </div>
  );
}

function Times({
  name,
  times,
  before,
}: {
  name: string;
  times: Schemas["Times"] | null;
  before: Schemas["Times"] | null;
}) {
  const { t } = useTranslation();
  // A line ends between the two, not within one.
  const kept = (ms: number | undefined) => duration(ms).replaceAll(" ", "\u00a0");
  const both = t("overview.percentiles", { p95: kept(times?.p95), p99: kept(times?.p99) });
  return (
    <Tile
      name={`${name} · ${t("overview.percentile")}`}
      value={duration(times?.p50)}
      whole={both}
      changed={times && before?.p50 ? times.p50 / before.p50 - 1 : null}
      more="bad"
    >
      <span className="numbers muted">{both}</span>
    </Tile>
  );
}

/** `whole`: what is said on hover and focus. `more`: whether more of it is bad news or just news. */
function Tile({
  name,
  value,
  whole,
  detail,
  changed,
  more,
  children,
}: {
  name: string;
  value: string;
  whole: string;
  detail?: string | undefined;
  changed: number | null;
  more?: "bad";
  children: ReactNode;
}) {
  const { t } = useTranslation();
  const tone = more === undefined || changed === null || changed === 0 ? "plain" : changed > 0 ? "bad" : "good";
  return (
    <section className={styles.tile} aria-label={name}>
      <h2 className={styles.name}>{name}</h2>
      <div className={styles.figures}>
        <Hint text={whole}>
          <span className={styles.value}>{value}</span>
        </Hint>
        {changed !== null && (
          <span className={styles.change} data-tone={tone} title={t("overview.against")}>
            {change(changed)}
          </span>
        )}
      </div>
      <div className={styles.detail}>{detail ?? children}</div>
      {detail !== undefined && children}
    </section>
  );
}
