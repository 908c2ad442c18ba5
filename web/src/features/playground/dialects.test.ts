import { describe, expect, it } from "vitest";

import { type Answer, NOTHING, whole } from "./answer";
import { anthropicMessages } from "./anthropic-messages";
import { type Dialect, dialectFor } from "./dialect";
import { column, type Draft, message, UNSET } from "./draft";
import { openaiChat } from "./openai-chat";
import { EventReader } from "./sse";

function answers({ fold }: Dialect, ...pieces: Uint8Array[]): Answer {
  const reader = new EventReader();
  return [...pieces.flatMap((piece) => reader.feed(piece)), ...reader.close()].reduce(fold, NOTHING);
}

function stream(events: readonly unknown[]): Uint8Array {
  const lines = events.map((event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`);
  return new TextEncoder().encode(lines.join(""));
}

const delta = (delta: unknown, finish: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
});
const CHAT = stream([
  delta({ role: "assistant", content: "", refusal: null }),
  delta({ reasoning_content: "Let me " }),
  delta({ reasoning: "see. " }),
  delta({ content: [{ type: "thinking", thinking: [{ type: "text", text: "Hm." }] }] }),
  delta({ content: "It is " }),
  delta({ content: [{ type: "text", text: "20 °C 🙂" }] }),
  delta({ refusal: "No." }),
  delta({ tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "weather", arguments: "" } }] }),
  delta({ tool_calls: [{ index: 1, id: "b", function: { name: "time", arguments: "{}" } }] }),
  delta({ tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }),
  delta({ tool_calls: [{ index: 0, function: { arguments: '"Köln"}' } }] }),
  delta({}, "tool_calls"),
  { choices: [], usage: { prompt_tokens: 1 } },
  "[DONE]",
]);
const SAID: Answer = {
  choices: [
    {
      text: "It is 20 °C 🙂",
      thinking: "Let me see. Hm.",
      refusal: "No.",
      calls: [
        { index: 0, id: "a", name: "weather", arguments: '{"city":"Köln"}' },
        { index: 1, id: "b", name: "time", arguments: "{}" },
      ],
      finish: "tool_calls",
    },
  ],
  error: null,
  ended: true,
};

const MESSAGES = stream([
  { type: "message_start", message: { id: "m", content: [], usage: {} } },
  { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "Let me see. Hm." } },
  { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "x" } },
  { type: "ping" },
  { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "It is " } },
  { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "20 °C 🙂" } },
  { type: "content_block_start", index: 2, content_block: { type: "tool_use", id: "a", name: "weather", input: {} } },
  { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: '{"city":' } },
  { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: '"Köln"}' } },
  { type: "content_block_start", index: 3, content_block: { type: "server_tool_use", id: "s", name: "web_search" } },
  { type: "content_block_delta", index: 3, delta: { type: "input_json_delta", partial_json: "{}" } },
  { type: "message_delta", delta: { stop_reason: "tool_use" }, usage: { output_tokens: 5 } },
  { type: "message_stop" },
]);

describe.each([
  ["chat completions", openaiChat, CHAT, SAID],
  [
    "messages",
    anthropicMessages,
    MESSAGES,
    {
      ...SAID,
      choices: SAID.choices.map((choice) => ({
        ...choice,
        refusal: "",
        finish: "tool_use",
        calls: [{ index: 2, id: "a", name: "weather", arguments: '{"city":"Köln"}' }],
      })),
    },
  ],
] as const)("a stream of %s", (_, dialect, bytes, said) => {
  it("is the same answer wherever it is cut", () => {
    expect(answers(dialect, bytes)).toEqual(said);
    for (let cut = 1; cut < bytes.length; cut++)
      expect(answers(dialect, bytes.slice(0, cut), bytes.slice(cut))).toEqual(said);
  });
  it("is whole at its end, and not before", () => {
    expect(whole(answers(dialect, bytes))).toBe(true);
    expect(whole(answers(dialect, bytes.slice(0, bytes.length / 2)))).toBe(false);
    expect(whole(NOTHING)).toBe(false);
  });
  it("minds no rubbish between", () => {
    const rubbish = stream(["{oops", "null", "[1]", { choices: [null, { delta: 3 }, { index: -1 }] }, { type: 7 }]);
    const { choices } = answers(dialect, rubbish, bytes);
    expect(choices[0]).toEqual(said.choices[0]);
  });
});

describe("chat completions", () => {
  it("tells an error that comes in the midst", () => {
    expect(openaiChat.fold(NOTHING, '{"error":{"message":"overloaded","code":529}}').error).toBe("overloaded");
    expect(openaiChat.fold(NOTHING, '{"error":"gone"}').error).toBe("gone");
  });
  it("tells calls without an index apart by their ids", () => {
    const bytes = stream([
      delta({ tool_calls: [{ id: "a", function: { name: "f", arguments: "{" } }] }),
      delta({ tool_calls: [{ function: { arguments: "}" } }] }),
      delta({ tool_calls: [{ id: "b", function: { name: "g", arguments: "{}" } }] }),
    ]);
    expect(answers(openaiChat, bytes).choices[0]?.calls).toEqual([
      { index: 0, id: "a", name: "f", arguments: "{}" },
      { index: 1, id: "b", name: "g", arguments: "{}" },
    ]);
  });
  it("keeps several choices apart", () => {
    const one = (index: number, content: string) => ({ choices: [{ index, delta: { content } }] });
    const { choices } = answers(openaiChat, stream([one(1, "b"), one(0, "a"), one(1, "B")]));
    expect(choices.map(({ text }) => text)).toEqual(["a", "bB"]);
  });
  it("reads an answer in one piece", () => {
    const said = { choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }] };
    expect(openaiChat.read(said)).toEqual({
      choices: [{ text: "Hi", thinking: "", refusal: "", calls: [], finish: "stop" }],
      error: null,
      ended: true,
    });
  });
});

describe("messages", () => {
  it("tells an error that comes in the midst", () =>
    expect(anthropicMessages.fold(NOTHING, '{"type":"error","error":{"message":"overloaded"}}').error).toBe(
      "overloaded",
    ));
  it("reads an answer in one piece", () => {
    const content = [
      { type: "text", text: "Hi" },
      { type: "tool_use", id: "a", name: "f", input: { x: 1 } },
    ];
    expect(anthropicMessages.read({ content, stop_reason: "tool_use" })).toEqual({
      choices: [
        {
          text: "Hi",
          thinking: "",
          refusal: "",
          calls: [{ index: 1, id: "a", name: "f", arguments: '{"x":1}' }],
          finish: "tool_use",
        },
      ],
      error: null,
      ended: true,
    });
  });
});

const IMAGE = "data:image/png;base64,AAAA";
const CALL = { id: "c1", name: "weather", arguments: '{"city":"Köln"}' };
const DRAFT: Draft = {
  system: "Be short.",
  messages: [
    message("user", "Look", {
      parts: [
        { type: "text", text: "Look" },
        { type: "image", url: IMAGE },
      ],
    }),
    message("developer", "Use tools."),
    message("assistant", "", { calls: [CALL] }),
    message("tool", "20", { callId: "c1" }),
    message("user", ""),
    message("user", "And?"),
  ],
  tools: [{ id: "t", name: "weather", description: "of a city", schema: '{"type":"object"}' }],
  columns: [],
  from: null,
  opened: null,
};
const ALL = {
  ...UNSET,
  temperature: 0,
  topP: 0.9,
  maxTokens: 50,
  seed: 7,
  stop: "END\n\nSTOP",
  format: "json_schema" as const,
  schema: '{"type":"object"}',
  effort: "low" as const,
  toolChoice: "required" as const,
};

describe("a request of chat completions", () => {
  it("has nothing that was not set", () =>
    expect(
      openaiChat.render(
        { ...DRAFT, system: "", tools: [], messages: [message("user", "Hi")] },
        column("chat", { ...UNSET, stream: false }),
        "openai",
      ),
    ).toEqual({ model: "chat", messages: [{ role: "user", content: "Hi" }] }));
  it("has all of the draft, and of the parameters", () =>
    expect(openaiChat.render(DRAFT, column("chat", ALL), "vllm")).toEqual({
      model: "chat",
      messages: [
        { role: "system", content: "Be short." },
        {
          role: "user",
          content: [
            { type: "text", text: "Look" },
            { type: "image_url", image_url: { url: IMAGE } },
          ],
        },
        { role: "developer", content: "Use tools." },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "c1", type: "function", function: { name: "weather", arguments: '{"city":"Köln"}' } }],
        },
        { role: "tool", tool_call_id: "c1", content: "20" },
        { role: "user", content: "And?" },
      ],
      tools: [
        { type: "function", function: { name: "weather", description: "of a city", parameters: { type: "object" } } },
      ],
      tool_choice: "required",
      temperature: 0,
      top_p: 0.9,
      max_tokens: 50,
      seed: 7,
      stop: ["END", "STOP"],
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", strict: true, schema: { type: "object" } },
      },
      reasoning_effort: "low",
      stream: true,
      stream_options: { include_usage: true },
    }));
  it("bounds the answer by the name that the provider knows", () => {
    const body = openaiChat.render(DRAFT, column("chat", ALL), "openai");
    expect([body.max_completion_tokens, body.max_tokens]).toEqual([50, undefined]);
  });
});

it("a request of messages has all that they have words for", () =>
  expect(anthropicMessages.render(DRAFT, column("claude", ALL), "anthropic")).toEqual({
    model: "claude",
    max_tokens: 50,
    system: "Be short.\n\nUse tools.",
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "Look" },
          { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
        ],
      },
      { role: "assistant", content: [{ type: "tool_use", id: "c1", name: "weather", input: { city: "Köln" } }] },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "c1", content: [{ type: "text", text: "20" }] },
          { type: "text", text: "And?" },
        ],
      },
    ],
    tools: [{ name: "weather", description: "of a city", input_schema: { type: "object" } }],
    tool_choice: { type: "any" },
    temperature: 0,
    top_p: 0.9,
    stop_sequences: ["END", "STOP"],
    stream: true,
  }));

it("is spoken by all models of an endpoint, chat completions first", () => {
  const [chat, messages] = ["openai.chat", "anthropic.messages"];
  expect([
    dialectFor([[chat, messages]]).format,
    dialectFor([[messages]]).format,
    dialectFor([[chat, messages], [messages]]).format,
    dialectFor([[chat], [messages]]).format, // none is spoken by both: the gateway goes to those that can
    dialectFor([]).format,
  ]).toEqual([chat, messages, messages, chat, chat]);
});
