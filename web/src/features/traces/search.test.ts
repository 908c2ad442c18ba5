import { describe, expect, it } from "vitest";

import { EVERYTHING, isFiltered, parseView, questionOf, renderView, withoutValue, withValue } from "./search";

const VIEW = {
  ...EVERYTHING,
  q: '"three weeks" refund',
  live: true,
  values: { ...EVERYTHING.values, endpoint: ["chat", "batch"], status: ["error" as const], tag: ["team:a:b"] },
  min_ms: 2000,
  since_ms: 1_790_000_000_000,
};

describe("the address", () => {
  it("says again what it was told", () => expect(parseView(renderView(VIEW))).toEqual(VIEW));
  it("is empty when nothing is asked for", () => expect(renderView(EVERYTHING)).toEqual({}));
  it("has one value as itself and several as a list", () =>
    expect(renderView(VIEW)).toMatchObject({ endpoint: ["chat", "batch"], status: "error" }));
  it("is not heeded where it is rubbish", () =>
    expect(
      parseView({
        q: { a: 1 },
        status: ["lost", "ok"],
        tag: ["no colon", ":v"],
        min_ms: "-1",
        until_ms: "x",
        live: "y",
      }),
    ).toEqual({ ...EVERYTHING, values: { ...EVERYTHING.values, status: ["ok"] } }));
  it("keeps names that look like numbers", () =>
    expect(parseView({ user: 123, session: [7, "a", "a"], q: 404 })).toMatchObject({
      q: "404",
      values: { user: ["123"], session: ["7", "a"] },
    }));
});

it("asks the API for what the address says, and for no more", () => {
  expect(questionOf(VIEW)).toEqual({
    q: '"three weeks" refund',
    endpoint: ["chat", "batch"],
    status: ["error"],
    tag: ["team:a:b"],
    min_ms: 2000,
    since_ms: 1_790_000_000_000,
  });
  expect(questionOf(EVERYTHING)).toEqual({});
});

it("adds a value once and takes it away", () => {
  const once = withValue(withValue(EVERYTHING, "model", "gpt-4o"), "model", "gpt-4o");
  expect(once.values.model).toEqual(["gpt-4o"]);
  expect(withoutValue(once, "model", "gpt-4o")).toEqual(EVERYTHING);
});

it("is a filter unless it only says how it is looked at", () =>
  expect([isFiltered({ ...EVERYTHING, live: true }), isFiltered({ ...EVERYTHING, max_ms: 5 })]).toEqual([false, true]));
