import { expect, it } from "vitest";

import { ago } from "./time";

const DAY = 86_400_000;

it.each([
  [400, null],
  [12_000, "12s ago"],
  [125_000, "2m ago"],
  [3 * 3_600_000, "3h ago"],
  [45 * DAY, "45d ago"],
  [70 * DAY, "2mo ago"],
  [800 * DAY, "2y ago"],
  [-2 * DAY, "in 2d"],
])("%s ms ago is %s", (ms, said) => expect(ago(10 * 365 * DAY - ms, 10 * 365 * DAY)).toBe(said));
