/** What went through each endpoint of late: usage, folded by endpoint. */

import type { Schemas } from "@/api/client";
import type { UsageQuestion } from "@/api/usage";

type Measures = Schemas["Measures"];

/** `hours`: calls by hour, the last of them now. */
export type Traffic = { hours: readonly number[]; calls: number; errors: number };

export const DAY: UsageQuestion = { last: "24h", step: "hour", group_by: ["endpoint"], order: "calls" };

/** Since midnight where the person is. */
export function today(zone: string): UsageQuestion {
  return { last: "1d", zone, group_by: ["endpoint"] };
}

const HOUR = 3_600_000;

/** By the endpoint's name. An hour without calls has no row, and is 0. */
export function trafficOf(usage: Schemas["Usage"]): Map<string, Traffic> {
  const first = Math.floor(Date.parse(usage.since) / HOUR);
  const length = Math.ceil(Date.parse(usage.until) / HOUR) - first;
  const found = new Map<string, { hours: number[]; calls: number; errors: number }>();
  for (const row of usage.rows) {
    const name = row.group.endpoint ?? "";
    const traffic = found.get(name) ?? { hours: Array.from({ length }, () => 0), calls: 0, errors: 0 };
    const hour = Math.floor(Date.parse(row.since) / HOUR) - first;
    if (hour >= 0 && hour < length) traffic.hours[hour] = (traffic.hours[hour] ?? 0) + row.measures.calls;
    traffic.calls += row.measures.calls;
    traffic.errors += row.measures.errors;
    found.set(name, traffic);
  }
  return found;
}

export function measuresOf(usage: Schemas["Usage"]): Map<string, Measures> {
  return new Map(usage.rows.map((row) => [row.group.endpoint ?? "", row.measures]));
}
