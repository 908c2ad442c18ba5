import i18next from "i18next";
import { describe, expect, it } from "vitest";

import { costSaid, type Sums, tokensSaid } from "./sums";

const EXACT: Sums = {
  input_tokens: 900,
  output_tokens: 100,
  cost: "0.25",
  unpriced_share: 0,
  estimated_share: 0,
  unknown_attempts: 0,
};
const NOTHING: Sums = {
  ...EXACT,
  input_tokens: 0,
  output_tokens: 0,
  cost: "0",
  unpriced_share: null,
  estimated_share: null,
};

describe("sums", () => {
  it.each<[string, Partial<Sums>, string, string, number, number]>([
    ["are exact where all is known", EXACT, "1,000", "$0.25", 0, 0],
    ["are zero where nothing was called", NOTHING, "0", "$0", 0, 0],
    ["are a dash where nobody knows anything of them", { ...NOTHING, unknown_attempts: 2 }, "–", "–", 1, 1],
    ["are marked where nobody knows a part of them", { unknown_attempts: 1 }, "~1,000", "~$0.25", 1, 1],
    ["are marked where tokens were estimated", { estimated_share: 0.5 }, "~1,000", "~$0.25", 1, 1],
    ["have a marked cost where a part has no price", { unpriced_share: 0.1 }, "1,000", "~$0.25", 0, 1],
    ["have no cost where nothing has a price", { cost: null, unpriced_share: 1 }, "1,000", "–", 0, 1],
    ["tell each doubt", { unpriced_share: 0.1, estimated_share: 0.5, unknown_attempts: 3 }, "~1,000", "~$0.25", 2, 3],
  ])("%s", (_, of, tokens, cost, tokenDoubts, costDoubts) => {
    const sums = { ...EXACT, ...of };
    const [saidOfTokens, saidOfCost] = [tokensSaid(sums, i18next.t), costSaid(sums, i18next.t)];
    expect([saidOfTokens.said, saidOfCost.said]).toEqual([tokens, cost]);
    expect([saidOfTokens.doubts.length, saidOfCost.doubts.length]).toEqual([tokenDoubts, costDoubts]);
  });

  it("say how many attempts nobody knows the tokens of", () => {
    expect(tokensSaid({ ...EXACT, unknown_attempts: 1200 }, i18next.t).doubts).toEqual([
      "Of 1,200 attempts nobody knows the tokens, nor what they cost.",
    ]);
  });
});
