import { useTranslation } from "react-i18next";

import type { Trace, TraceAttempt } from "@/api/traces";
import { Cost, Tokens } from "@/shared/calls/figures";
import { money } from "@/shared/format/numbers";
import { Badge } from "@/shared/ui/badge";
import { Callout } from "@/shared/ui/callout";
import { classes } from "@/shared/ui/classes";
import { Panel } from "@/shared/ui/page";

import styles from "./account.module.css";

/** Classes of tokens; those with a mark are a part of the class before them that has none. */
const CLASSES = [
  { name: "input", part: false },
  { name: "cache_read", part: true },
  { name: "cache_write", part: true },
  { name: "cache_write_5m", part: true },
  { name: "cache_write_1h", part: true },
  { name: "audio_input", part: true },
  { name: "image_input", part: true },
  { name: "output", part: false },
  { name: "reasoning", part: true },
  { name: "audio_output", part: true },
  { name: "image_output", part: true },
] as const;
const ALWAYS: readonly string[] = ["input", "output", "cache_read", "reasoning"];
const TONES = { reported: "good", drained: "info", estimated: "warn", unknown: "neutral" } as const;

/** Tokens by class, who counted them, and what they cost: by attempt, as each is paid for. */
export function Account({ trace }: { trace: Trace }) {
  const { t } = useTranslation();
  const tried = trace.tried;
  const several = tried.length > 1;
  const shown = CLASSES.filter(
    ({ name }) => ALWAYS.includes(name) || tried.some((attempt) => attempt.tokens[name] !== null),
  );
  const invalid = [...new Set(tried.flatMap((attempt) => attempt.tokens.invalid))];
  return (
    <Panel title={t("traces.account")}>
      {tried.length === 0 ? (
        <p className="muted">{t("traces.noAttempt")}</p>
      ) : (
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard (WCAG 2.1.1)
        <div className={styles.scroll} role="region" aria-label={t("traces.account")} tabIndex={0}>
          <table className={styles.table}>
            <thead>
              <tr>
                <th scope="col">{t("traces.tokens")}</th>
                {tried.map((attempt) => (
                  <th key={attempt.no} scope="col" title={`${attempt.provider} · ${attempt.model}`}>
                    <span className={several ? undefined : "visually-hidden"}>
                      {t("traces.attemptNo", { no: attempt.no })}
                    </span>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map(({ name, part }) => (
                <tr key={name}>
                  <th scope="row" className={classes(part && styles.part)}>
                    {t(`traces.classes.${name}`)}
                  </th>
                  {tried.map((attempt) => (
                    <td key={attempt.no}>
                      <Tokens exact value={attempt.tokens[name]} provenance={attempt.tokens.provenance} />
                    </td>
                  ))}
                </tr>
              ))}
              <Line name={t("traces.countedBy")} tried={tried}>
                {(attempt) => (
                  <span title={t(`traces.provenanceHints.${attempt.tokens.provenance}`)}>
                    <Badge tone={TONES[attempt.tokens.provenance]}>
                      {t(`traces.provenance.${attempt.tokens.provenance}`)}
                    </Badge>
                  </span>
                )}
              </Line>
            </tbody>
            <tbody>
              <Line name={t("traces.inputCost")} tried={tried}>
                {(attempt) => money(attempt.input_cost)}
              </Line>
              <Line name={t("traces.outputCost")} tried={tried}>
                {(attempt) => money(attempt.output_cost)}
              </Line>
              <Line name={t("traces.cost")} tried={tried}>
                {(attempt) => (
                  <strong>
                    <Cost
                      cost={attempt.cost}
                      estimated={attempt.cost !== null && attempt.tokens.provenance === "estimated"}
                      unpriced={attempt.cost === null && attempt.tokens.provenance !== "unknown" ? 1 : 0}
                    />
                  </strong>
                )}
              </Line>
              {several && (
                <tr>
                  <th scope="row">{t("traces.costOfAll")}</th>
                  <td colSpan={tried.length}>
                    <strong>
                      <Cost cost={trace.cost} estimated={trace.cost_estimated} unpriced={trace.unpriced_attempts} />
                    </strong>
                  </td>
                </tr>
              )}
              <Line name={t("traces.price")} tried={tried}>
                {(attempt) =>
                  attempt.price_id === null ? (
                    "–"
                  ) : (
                    <span className={classes("mono", styles.price)} title={attempt.price_id}>
                      {attempt.price_id}
                    </span>
                  )
                }
              </Line>
            </tbody>
          </table>
        </div>
      )}
      {invalid.length > 0 && (
        <Callout tone="warn" past>
          {t("traces.invalidCounts", { names: invalid.join(", ") })}
        </Callout>
      )}
    </Panel>
  );
}

function Line({
  name,
  tried,
  children,
}: {
  name: string;
  tried: readonly TraceAttempt[];
  children: (attempt: TraceAttempt) => React.ReactNode;
}) {
  return (
    <tr>
      <th scope="row">{name}</th>
      {tried.map((attempt) => (
        <td key={attempt.no}>{children(attempt)}</td>
      ))}
    </tr>
  );
}
