/** What the overview shows, as its address says it. Rubbish in the address is the default. */

import type { UsageQuestion } from "@/api/usage";

export const RANGES = ["1h", "24h", "7d", "30d", "90d"] as const;
export const SPLITS = ["none", "endpoint", "model", "provider", "key", "team"] as const;
export const METRICS = ["calls", "errors", "tokens", "cost", "latency", "firstToken"] as const;
export type Range = (typeof RANGES)[number];
export type Split = (typeof SPLITS)[number];
export type Metric = (typeof METRICS)[number];

/** `since` and `until`, ms: instead of a range that ends now. */
export type View = { range: Range; split: Split; metric: Metric; since?: number; until?: number };
export const DEFAULT: View = { range: "24h", split: "endpoint", metric: "calls" };

function oneOf<T extends string>(values: readonly T[], said: unknown, otherwise: T): T {
  return values.find((value) => value === said) ?? otherwise;
}

export function parseView(search: Readonly<Record<string, unknown>>): View {
  const view: View = {
    range: oneOf(RANGES, search.range, DEFAULT.range),
    split: oneOf(SPLITS, search.split, DEFAULT.split),
    metric: oneOf(METRICS, search.metric, DEFAULT.metric),
  };
  const [since, until] = [search.since, search.until].map(Number);
  if (since !== undefined && until !== undefined && since >= 0 && until > since) return { ...view, since, until };
  return view;
}

/** Without what is the default: an address as short as it can be. */
export function renderView(view: View): Record<string, unknown> {
  const custom = view.since !== undefined;
  return {
    ...(custom || view.range === DEFAULT.range ? {} : { range: view.range }),
    ...(view.split === DEFAULT.split ? {} : { split: view.split }),
    ...(view.metric === DEFAULT.metric ? {} : { metric: view.metric }),
    ...(custom ? { since: view.since, until: view.until } : {}),
  };
}

const HOUR = 3_600_000;
const STEPS: Record<Range, UsageQuestion["step"]> = {
  "1h": "15m",
  "24h": "15m",
  "7d": "hour",
  "30d": "day",
  "90d": "day",
};

/** So many bars as can be told apart. */
export function stepOf(view: View): NonNullable<UsageQuestion["step"]> {
  if (view.since === undefined || view.until === undefined) return STEPS[view.range] ?? "day";
  const length = view.until - view.since;
  if (length <= 30 * HOUR) return "15m";
  if (length <= 8 * 24 * HOUR) return "hour";
  return length <= 200 * 24 * HOUR ? "day" : "week";
}

/** The range in the API's words. */
export function rangeOf(view: View, zone: string): UsageQuestion {
  if (view.since === undefined || view.until === undefined) return { last: view.range, zone };
  return { since: String(view.since), until: String(view.until), zone };
}

/** What ends now is looked at again by itself: as often as a bar of it grows in sight. */
export function pace(view: View): number | false {
  if (view.since !== undefined) return false;
  return view.range === "1h" || view.range === "24h" ? 5_000 : 30_000;
}
