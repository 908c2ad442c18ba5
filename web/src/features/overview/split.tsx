import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import type { Schemas } from "@/api/client";
import { costOf, CostOf, TokensOf } from "@/shared/calls/sums";
import { colour } from "@/shared/charts/series-chart";
import { change, count, duration, share } from "@/shared/format/numbers";
import { Panel, Skeleton } from "@/shared/ui/page";

import { groupOf, splitOf } from "./fold";
import styles from "./split.module.css";

/** The groups beside each other: the same order and colours as in the chart. */
export function Split({
  usage: data,
  ended,
}: {
  usage: Schemas["Usage"] | undefined;
  /** What comes now is no part of the range. */
  ended: boolean;
}) {
  const { t } = useTranslation();
  const split = splitOf(data);
  if (!data || split === "none") return <Skeleton height="240px" />;
  const all = data.total.measures;
  const range = { since_ms: Date.parse(data.since), ...(ended && { until_ms: Date.parse(data.until) }) };
  return (
    <Panel flush title={t("overview.table", { split: t(`overview.splits.${split}`) })}>
      <div className={styles.scroll}>
        <table className={styles.table}>
          <thead>
            <tr>
              <th scope="col">{t(`overview.splits.${split}`)}</th>
              <th scope="col" className={styles.numeric}>
                {t("overview.calls")}
              </th>
              <th scope="col" className={styles.numeric}>
                {t("overview.share")}
              </th>
              <th scope="col" className={styles.numeric}>
                {t("overview.errors")}
              </th>
              <th scope="col" className={styles.numeric}>
                {t("overview.tokens")}
              </th>
              <th scope="col" className={styles.numeric}>
                {t("overview.cost")}
              </th>
              <th scope="col" className={styles.numeric}>
                {t("overview.costChange")}
              </th>
              <th scope="col" className={styles.numeric}>
                {t("overview.latencyP95")}
              </th>
              <th scope="col" className={styles.numeric}>
                {t("overview.firstTokenP95")}
              </th>
            </tr>
          </thead>
          <tbody>
            {data.rows.map((row, index) => {
              const { measures } = row;
              const name = row.other ? t("overview.other") : row.group[split] || t("overview.nameless");
              return (
                <tr key={groupOf(row, split)}>
                  <th scope="row">
                    <span className={styles.name}>
                      <span
                        className={styles.swatch}
                        style={{ background: colour(index, row.other) }}
                        aria-hidden="true"
                      />
                      {!row.other && row.group[split] ? (
                        <Link to="/traces" search={{ [split]: row.group[split], ...range }} className="truncate">
                          {name}
                        </Link>
                      ) : (
                        <span className="truncate">{name}</span>
                      )}
                    </span>
                  </th>
                  <td className={styles.numeric}>{count(measures.calls)}</td>
                  <td className={styles.numeric}>{all.calls ? share(measures.calls / all.calls) : share(null)}</td>
                  <td className={styles.numeric}>
                    <span data-bad={measures.errors > 0 || undefined} className={styles.errors}>
                      {count(measures.errors)}
                    </span>
                  </td>
                  <td className={styles.numeric}>
                    <TokensOf sums={measures} />
                  </td>
                  <td className={styles.numeric}>
                    <CostOf sums={measures} />
                  </td>
                  <td className={styles.numeric}>{change(costOf(measures) === null ? null : row.change?.cost)}</td>
                  <td className={styles.numeric}>{duration(measures.latency?.p95)}</td>
                  <td className={styles.numeric}>{duration(measures.first_token?.p95)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
