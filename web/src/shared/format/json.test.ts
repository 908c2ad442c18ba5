import { describe, expect, it } from "vitest";

import { indented } from "./json";

describe("JSON with a line for each value", () => {
  it.each([
    { a: [1, 2, { b: [] }], "c{,": "x: [y], {z}", d: {}, e: null, f: 'say "hi" \\' },
    [],
    [[[]]],
    "text",
    { a: "" },
  ])("is as JSON.stringify writes it: %j", (value) => {
    const two = JSON.stringify(value, null, 2);
    expect(indented(JSON.stringify(value))).toBe(two);
    expect(indented(two)).toBe(two);
  });
  it("keeps numbers as they were written", () =>
    expect(indented('{"id":12345678901234567890,"x":1.50}')).toBe('{\n  "id": 12345678901234567890,\n  "x": 1.50\n}'));
  it("leaves what is no JSON", () => expect(indented('{"cut": "of')).toBe('{"cut": "of'));
});
