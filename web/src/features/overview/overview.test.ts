import { describe, expect, it } from "vitest";

import { type Row, seriesOf } from "./fold";
import { DEFAULT, pace, parseView, rangeOf, renderView, stepOf } from "./search";

function row(
  since: string,
  group: Record<string, string>,
  calls: number,
  cost: string | null = "0",
  other = false,
): Row {
  const until = new Date(Date.parse(since) + 3_600_000).toISOString();
  return {
    since,
    until,
    group,
    other,
    measures: { calls, cost, latency: null },
    previous: null,
    change: null,
  } as unknown as Row;
}

describe("the address", () => {
  it("is empty for what is shown by default, and rubbish in it is the default", () => {
    expect(renderView(DEFAULT)).toEqual({});
    expect(parseView({ range: "1 fortnight", split: 7, metric: "beauty", since: "x", until: "y" })).toEqual(DEFAULT);
  });

  it("keeps what was chosen", () => {
    const view = { range: "24h", split: "team", metric: "cost", since: 1000, until: 2000 } as const;
    expect(parseView(renderView(view))).toEqual(view);
  });

  it("does not take a range that ends before it begins", () => {
    expect(parseView({ since: 2000, until: 1000 })).toEqual(DEFAULT);
  });
});

it("asks for a range as it was said, and for bars that can be told apart", () => {
  const view = { ...DEFAULT, since: 0, until: 40 * 86_400_000 };
  expect(rangeOf(DEFAULT, "Asia/Kathmandu")).toEqual({ last: "24h", zone: "Asia/Kathmandu" });
  expect(rangeOf(view, "UTC")).toEqual({ since: "0", until: "3456000000", zone: "UTC" });
  expect([stepOf(DEFAULT), stepOf({ ...DEFAULT, range: "90d" }), stepOf(view)]).toEqual(["15m", "day", "day"]);
  expect([pace(DEFAULT), pace(view)]).toEqual([5_000, false]);
});

describe("the series", () => {
  const rows = [
    row("2026-11-01T00:00:00Z", {}, 4, "0", true),
    row("2026-11-01T00:00:00Z", { endpoint: "chat" }, 3),
    row("2026-11-01T01:00:00Z", { endpoint: "chat" }, 5, null),
    row("2026-11-01T01:00:00Z", { endpoint: "" }, 1),
  ];
  const periods = [
    row("2026-11-01T00:00:00Z", {}, 7),
    row("2026-11-01T01:00:00Z", {}, 6),
    row("2026-11-01T02:00:00Z", {}, 0),
  ];
  const name = (one: Row) => (one.other ? "others" : one.group.endpoint || "none");

  it("are one for each group, nothing where a group has no row, and all others last", () => {
    const { spans, series } = seriesOf(rows, periods, "endpoint", "calls", name);
    expect(spans.map((span) => span.until - span.since)).toEqual([3_600_000, 3_600_000, 3_600_000]);
    expect(series.map(({ id, name, values }) => [id, name, values])).toEqual([
      ["=chat", "chat", [3, 5, 0]],
      ["=", "none", [0, 1, 0]],
      ["other", "others", [4, 0, 0]],
    ]);
  });

  it("leave a hole where a cost is unknown or nothing was timed: neither is zero", () => {
    expect(seriesOf(rows, periods, "endpoint", "cost", name).series[0]?.values).toEqual([0, null, 0]);
    expect(seriesOf(rows, periods, "endpoint", "latency", name).series[0]?.values).toEqual([null, null, null]);
  });
});
