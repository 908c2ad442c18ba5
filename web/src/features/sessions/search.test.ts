import { expect, it } from "vitest";

import { parseView, questionOf, renderView } from "./search";

it("is said again by the address, and asked of the API", () => {
  const view = { q: "ticket", user: "ann", experimentIds: ["3", "4"] };
  expect(parseView(renderView(view))).toEqual(view);
  expect(questionOf(view)).toEqual({ q: "ticket", user: "ann", experiment_id: ["3", "4"] });
});

it("is everything when the address says nothing, or rubbish", () => {
  for (const search of [{}, { q: ["a"], user: {}, experiment_id: ["x", null] }])
    expect(questionOf(parseView(search))).toEqual({});
});

it("keeps an id that looks like a number", () =>
  expect(parseView({ q: 4711, experiment_id: 3 })).toEqual({ q: "4711", user: "", experimentIds: ["3"] }));
