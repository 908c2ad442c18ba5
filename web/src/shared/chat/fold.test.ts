import { expect, it } from "vitest";

import { beginning } from "./fold";

it("is all of a short text", () => expect(beginning("a\nb ".repeat(20))).toBe("a\nb ".repeat(20)));

it("is the start of a long one, to the end of a word", () => {
  const start = beginning("word ".repeat(2000));
  expect(start.length).toBeGreaterThan(1500);
  expect(start.length).toBeLessThan(1601);
  expect(start.endsWith("word")).toBe(true);
});

it("is so many lines at most", () => expect(beginning("x\n".repeat(1000)).split("\n")).toHaveLength(40));

it("cuts a text without a gap somewhere", () => expect(beginning("x".repeat(9000))).toHaveLength(1600));
