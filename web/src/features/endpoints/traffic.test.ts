import { expect, it } from "vitest";

import type { Schemas } from "@/api/client";

import { parseNew, parseView, renderView } from "./search";
import { trafficOf } from "./traffic";

function row(endpoint: string, since: string, calls: number, errors: number) {
  return { since, group: { endpoint }, measures: { calls, errors } };
}

it("puts calls into their hours, and nothing where there were none", () => {
  const usage = {
    since: "2026-11-22T10:15:00Z",
    until: "2026-11-22T13:30:00Z",
    rows: [
      row("chat", "2026-11-22T10:15:00Z", 3, 1),
      row("chat", "2026-11-22T13:00:00Z", 2, 0),
      row("other", "2026-11-22T12:00:00Z", 7, 7),
    ],
  } as unknown as Schemas["Usage"];
  expect(Object.fromEntries(trafficOf(usage))).toEqual({
    chat: { hours: [3, 0, 0, 2], calls: 5, errors: 1 },
    other: { hours: [0, 0, 7, 0], calls: 7, errors: 7 },
  });
});

it("reads an address, takes rubbish in it for the default, and writes it as short as it can be", () => {
  expect(parseView({ q: 12, provider: ["x"], sort: "nonsense" })).toEqual({ q: "12", provider: null, sort: "name" });
  expect(renderView(parseView({ q: "", sort: "cost", provider: "openai" }))).toEqual({
    sort: "cost",
    provider: "openai",
  });
  expect(parseNew({ from: "chat" })).toEqual({ from: "chat" });
  expect(parseNew({ from: {} })).toEqual({ from: null });
});
