/** Usage's rows as series of a chart. */

import type { Schemas } from "@/api/client";
import { costOf, tokensOf } from "@/shared/calls/sums";
import type { Series, Span } from "@/shared/charts/series-chart";

import { SPLITS, type Metric, type Split } from "./search";

export type Row = Schemas["Usage"]["rows"][number];
type Measures = Schemas["Measures"];

/** What is measured. Latencies are the 95th percentile: what most callers were spared. null: there is none. */
export function measured(metric: Metric, measures: Measures): number | null {
  switch (metric) {
    case "calls":
      return measures.calls;
    case "errors":
      return measures.errors;
    case "tokens":
      return tokensOf(measures);
    case "cost": {
      const cost = costOf(measures);
      return cost === null ? null : Number(cost);
    }
    case "latency":
      return measures.latency?.p95 ?? null;
    case "firstToken":
      return measures.first_token?.p95 ?? null;
  }
}

export function adds(metric: Metric): boolean {
  return metric !== "latency" && metric !== "firstToken";
}

/** What an answer is split by: the one before is in sight until the next has come. */
export function splitOf(usage: Schemas["Usage"] | undefined): Split {
  return SPLITS.find((split) => split === usage?.group_by[0]) ?? "none";
}

/** The id of a row's group: told apart from "none" and from "all others". */
export function groupOf(row: Row, split: Split): string {
  if (split === "none") return "all";
  return row.other ? "other" : `=${row.group[split] ?? ""}`;
}

/**
 * Rows by period and group, as one series a group: in the `order` of the ids given, "others" last. `periods`: a row for each, also
 * for one in which no group was there.
 */
export function seriesOf(
  rows: readonly Row[],
  periods: readonly Row[],
  split: Split,
  metric: Metric,
  name: (row: Row) => string,
  order: readonly string[] = [],
): { spans: Span[]; series: Series[] } {
  const spans: Span[] = periods.map(({ since, until }) => ({ since: Date.parse(since), until: Date.parse(until) }));
  const places = new Map(periods.map(({ since }, place) => [since, place]));
  const groups = new Map<string, { id: string; name: string; other: boolean; values: (number | null)[] }>();
  for (const row of rows) {
    const place = places.get(row.since);
    if (place === undefined) continue; // of another range than the periods: both are asked anew when it changes
    const id = groupOf(row, split);
    const group = groups.get(id) ?? {
      id,
      name: name(row),
      other: row.other,
      values: spans.map(() => (adds(metric) ? 0 : null)),
    };
    groups.set(id, group);
    group.values[place] = measured(metric, row.measures);
  }
  const rank = (id: string) => (order.includes(id) ? order.indexOf(id) : order.length);
  const series = [...groups.values()].sort((a, b) => Number(a.other) - Number(b.other) || rank(a.id) - rank(b.id));
  return { spans, series };
}
