import { describe, expect, it } from "vitest";

import { snippet } from "./snippets";

const ORIGIN = "https://gateway.example";
const BODY = {
  model: "chat",
  messages: [{ role: "user", content: `It's "quoted"\n\\ and $HOME, 日本` }],
  stream: true,
};

describe("curl", () => {
  it("sends the body as it is, whatever is in it", () => {
    const text = snippet("curl", { path: "/v1/chat/completions", body: BODY, more: { top_k: 3 } }, ORIGIN);
    const [head, json, end] = text.split(/<<'JSON'\n|\nJSON\n/);
    expect(JSON.parse(json ?? "")).toEqual({ ...BODY, top_k: 3 });
    expect([head?.startsWith(`curl --no-buffer ${ORIGIN}/v1/chat/completions \\\n`), end]).toEqual([true, ""]);
  });
});

describe("Python", () => {
  it("is a call of OpenAI's client", () =>
    expect(snippet("python", { path: "/v1/chat/completions", body: BODY, more: { top_k: null } }, ORIGIN))
      .toBe(`import os

from openai import OpenAI

client = OpenAI(base_url="https://gateway.example/v1", api_key=os.environ["SPANGATE_KEY"])
stream = client.chat.completions.create(
    model="chat",
    messages=[{"role": "user", "content": "It's \\"quoted\\"\\n\\\\ and $HOME, 日本"}],
    stream=True,
    extra_body={"top_k": None},
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
print()
`));
  it("breaks what is long, and is one of Anthropic's client for messages", () => {
    const content = [{ type: "text", text: "x".repeat(80) }];
    const body = { model: "claude", max_tokens: 9, messages: [{ role: "user", content }] };
    expect(snippet("python", { path: "/v1/messages", body, more: {} }, ORIGIN)).toContain(`
from anthropic import Anthropic

client = Anthropic(base_url="https://gateway.example", api_key=os.environ["SPANGATE_KEY"])
answer = client.messages.create(
    model="claude",
    max_tokens=9,
    messages=[
        {
            "role": "user",
            "content": [
                {
                    "type": "text",
                    "text": "${"x".repeat(80)}",
                },
            ],
        },
    ],
)
print(`);
  });
});
