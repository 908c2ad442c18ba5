import { describe, expect, it } from "vitest";

import { bytes, change, count, duration, money, price, share, short } from "./numbers";

describe("money", () => {
  it.each([
    ["0", "$0"],
    ["0.000042", "$0.000042"],
    ["0.00000125", "$0.0000013"],
    ["0.5", "$0.50"],
    ["0.999", "$1.00"],
    ["1234.5", "$1,234.50"],
    ["-3.2", "-$3.20"],
    [null, "–"],
  ])("%s is %s", (value, said) => expect(money(value)).toBe(said));
});

describe("a price", () => {
  it.each([
    ["0.125", "$0.125"],
    ["1.0625", "$1.0625"],
    ["3", "$3.00"],
    ["1234.5", "$1,234.50"],
    ["0", "$0.00"],
    [null, "–"],
  ])("%s is %s", (value, said) => expect(price(value)).toBe(said));
});

describe("duration", () => {
  it.each([
    [0.4, "0.4 ms"],
    [840, "840 ms"],
    [1240, "1.24 s"],
    [12_400, "12.4 s"],
    [125_000, "2 min 5 s"],
    [12_000_000, "3 h 20 min"],
    [10 * 86_400_000, "10 d"],
    [null, "–"],
  ])("%s is %s", (value, said) => expect(duration(value)).toBe(said));
});

describe("a share", () => {
  it.each([
    [1, "100%"],
    [0.995, "99.5%"],
    [0.005, "0.5%"],
    [0.125, "12.5%"],
    [1 / 3, "33.3%"],
    [0.000123, "0.012%"],
    [0, "0%"],
    [null, "–"],
  ])("%s is %s", (value, said) => expect(share(value)).toBe(said));
});

describe("bytes", () => {
  it.each([
    [999, "999 B"],
    [1000, "1.00 kB"],
    [999_400, "999 kB"],
    [999_600, "1.00 MB"],
    [999_999_999, "1.00 GB"],
  ])("%s are %s", (value, said) => expect(bytes(value)).toBe(said));
});

it("counts to the unit, and shortens what is long", () => {
  expect([
    count(1234567),
    short(9999),
    short(1234567),
    share(0.0512),
    change(0.25),
    change(-0.1),
    bytes(999),
    bytes(1_234_567),
  ]).toEqual(["1,234,567", "9,999", "1.23M", "5.1%", "+25%", "−10%", "999 B", "1.23 MB"]);
});
