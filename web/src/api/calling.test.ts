import { expect, it } from "vitest";

import { type Kind, read } from "./calling";

it.each<[string, Kind, unknown, ReturnType<typeof read>]>([
  [
    "an answer",
    "chat",
    {
      model: "m",
      choices: [{ message: { content: "Hello" } }],
      usage: { prompt_tokens: 3, completion_tokens: 2 },
    },
    { text: "Hello", model: "m", tokens: { input: 3, output: 2 } },
  ],
  [
    "a vector",
    "embeddings",
    { model: "m", data: [{ embedding: [1, 2, 3, 4, 5, 6, 7] }], usage: { prompt_tokens: 3 } },
    { text: "[1, 2, 3, 4, 5, 6, …] (7)", model: "m", tokens: { input: 3, output: 0 } },
  ],
  [
    "a count that was not told",
    "chat",
    { model: "m", choices: [{ message: { content: "Hello" } }], usage: { prompt_tokens: 3 } },
    { text: "Hello", model: "m", tokens: { input: 3, output: null } },
  ],
  ["a refusal", "chat", { error: { message: "No such model" } }, { text: "No such model", model: null, tokens: null }],
  ["what is no answer", "chat", { odd: 1 }, { text: '{"odd":1}', model: null, tokens: null }],
])("shows %s", (_, kind, answer, shown) => expect(read(JSON.stringify(answer), kind)).toEqual(shown));

it("shows what is not JSON as it is", () => {
  expect(read("<html>", "chat")).toEqual({ text: "<html>", model: null, tokens: null });
});
