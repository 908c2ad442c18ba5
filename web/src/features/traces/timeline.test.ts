import { expect, it } from "vitest";

import type { Trace } from "@/api/traces";

import { lanesOf, ticksOf } from "./timeline";

const span = (span_id: string, kind: "call" | "attempt", start: number, end: number) => ({
  span_id,
  parent_id: kind === "call" ? null : "root",
  name: span_id,
  kind,
  start_ns: start * 1e6,
  end_ns: end * 1e6,
  status: "OK" as const,
  description: "",
  attributes: {},
  events: [],
});
const attempt = (no: number, status: string, started_ms: number, ended_ms: number | null) => ({
  no,
  status,
  provider: "p",
  model: `m${no}`,
  started_ms,
  ended_ms,
  headed_ms: started_ms + 5,
  first_token_ms: null,
});

it("lays each attempt between its start and end, with the wait before it and what came of it", () => {
  const trace = {
    endpoint: "chat",
    status: "ok",
    duration_ms: 100,
    marks: [],
    spans: [span("root", "call", 0, 100), span("one", "attempt", 2, 30), span("two", "attempt", 50, 100)],
    tried: [attempt(1, "error", 2, 30), attempt(2, "ok", 50, 100)],
  } as unknown as Trace;
  const { lanes, length } = lanesOf(trace);
  expect(length).toBe(100);
  expect(lanes.map(({ name, failed, bar, wait, next }) => ({ name, failed, bar, wait, next: next?.no }))).toEqual([
    { name: "chat", failed: false, bar: { from: 0, to: 100 }, wait: null, next: undefined },
    { name: "p · m1", failed: true, bar: { from: 2, to: 30 }, wait: null, next: 2 },
    { name: "p · m2", failed: false, bar: { from: 50, to: 100 }, wait: { from: 30, to: 50 }, next: undefined },
  ]);
});

it("has round numbers along the line", () => {
  expect(ticksOf(1830)).toEqual([0, 500, 1000, 1500]);
  expect(ticksOf(100)).toEqual([0, 20, 40, 60, 80]);
  expect(ticksOf(0.001)[0]).toBe(0);
});
