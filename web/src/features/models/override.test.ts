import { expect, it } from "vitest";

import type { Override } from "@/api/prices";

import { askedOf, changesOf, EMPTY, namedOf } from "./override";
import { parseSearch, renderSearch } from "./search";

const NOTHING = {
  name: "deal",
  endpoint_id: null,
  secret_id: null,
  provider: null,
  model: null,
  effective_from: null,
  effective_to: null,
};

it("asks for what was filled in of the kind that was chosen, and for nothing of the other", () => {
  const form = { ...EMPTY, name: " deal ", multiplier: "0.85", rates: { ...EMPTY.rates, input: " 1.25 " } };
  expect(askedOf(form)).toEqual({ ...NOTHING, multiplier: "0.85", rates: null });
  expect(askedOf({ ...form, kind: "rates" })).toEqual({ ...NOTHING, multiplier: null, rates: { input: "1.25" } });
});

it("changes no moment that was not touched, though it shows no seconds of it", () => {
  const before = { name: "deal", effective_from: "2026-01-01T00:00:42Z", effective_to: null } as Override;
  const form = namedOf(before);
  expect(changesOf(form, before)).toEqual({ name: "deal" });
  expect(changesOf({ ...form, name: " ended ", to: "2026-02-01T00:00" }, before)).toEqual({
    name: "ended",
    effective_to: new Date("2026-02-01T00:00").toISOString(),
  });
  expect(changesOf({ ...form, from: "" }, before)).toEqual({ name: "deal", effective_from: null });
});

it("keeps its view in the address, which is empty for the first one", () => {
  const view = { tab: "overrides", provider: "openai", q: "mini" } as const;
  expect(parseSearch(renderSearch(view))).toEqual(view);
  expect(renderSearch(parseSearch({ tab: "nonsense", provider: 3 }))).toEqual({});
});
