import { describe, expect, it } from "vitest";

import type { Trace } from "@/api/traces";

import { type Draft, UNSET } from "./draft";
import { draftOf } from "./from-trace";

type Conversation = NonNullable<Trace["conversation"]>;
type Said = Conversation["messages"][number];

const says = (role: string, ...parts: Said["parts"]): Said => ({ role, name: null, parts, finish_reason: null });
const text = (said: string) => ({ type: "text" as const, text: said });

function taken(messages: Said[], more: Partial<Conversation> = {}, format = "openai.chat"): Draft {
  const conversation: Conversation = {
    messages,
    answers: [],
    tools: [],
    parameters: {},
    error: null,
    missing: [],
    ...more,
  };
  const trace = { trace_id: "t1", endpoint: "chat", requested_model: "alias", format, streamed: true } as Trace;
  return draftOf(trace, conversation);
}

const plain = ({ messages }: Draft) =>
  messages.map(({ role, parts, calls, callId }) => ({ role, parts, calls, callId }));

describe("what a trace asked", () => {
  it("is a system prompt, and what was said", () => {
    const draft = taken([says("system", text("Be"), text("short.")), says("user", text("Hi"))]);
    expect(draft.system).toBe("Be\n\nshort.");
    expect(plain(draft)).toEqual([{ role: "user", parts: [text("Hi")], calls: [], callId: "" }]);
    expect(draft.columns.map(({ endpoint, parameters }) => [endpoint, parameters])).toEqual([["chat", UNSET]]);
    expect(draft.from).toEqual({ traceId: "t1", left: [] });
  });

  it("has results of tools as messages of their own, by the ids of their calls", () => {
    const draft = taken([
      says("assistant", { type: "tool_call", call_id: null, name: "weather", arguments: "" }),
      says(
        "user",
        { type: "tool_result", call_id: null, name: "weather", failed: false, parts: [text("20"), text("°C")] },
        text("And?"),
      ),
    ]);
    const [call, result, next] = draft.messages;
    expect(call?.calls).toEqual([{ id: result?.callId, name: "weather", arguments: "{}" }]);
    expect(result).toMatchObject({ role: "tool", parts: [text("20\n\n°C")] });
    expect(result?.callId).toMatch(/^call_/);
    expect(next).toMatchObject({ role: "user", parts: [text("And?")] });
    expect(draft.messages).toHaveLength(3);
  });

  it("names what cannot be sent again, and has all else", () => {
    const draft = taken(
      [
        says("user", { type: "image", url: "data:image/png;base64,AA", media_type: "image/png" }),
        says("user", { type: "image", url: "file-1", media_type: null }),
        says("assistant", { type: "thinking", text: "Hm" }, text("Yes")),
        says("user", { type: "other", kind: "compaction", value: "{}" }),
      ],
      {
        tools: [
          { name: "f", kind: "function", description: null, parameters: '{"type":"object"}' },
          { name: "web", kind: "web_search", description: null, parameters: null },
        ],
        parameters: { thinking: '{"type":"enabled"}' },
      },
      "anthropic.messages",
    );
    expect(draft.from?.left).toEqual(["media", "thinking", "other", "tools", "parameters"]);
    expect(plain(draft).map(({ role, parts }) => [role, parts])).toEqual([
      ["user", [text(""), { type: "image", url: "data:image/png;base64,AA" }]],
      ["assistant", [text("Yes")]],
    ]);
    expect(draft.tools.map(({ name, schema }) => [name, schema])).toEqual([["f", '{"type":"object"}']]);
  });

  it("has the parameters of every format under our names, and of chat completions the rest as they are", () => {
    const of = (parameters: Record<string, string>, format: string) =>
      taken([], { parameters }, format).columns[0]?.parameters;
    const chat = {
      temperature: "0",
      max_completion_tokens: "9",
      stop: '"END"',
      logit_bias: '{"5":-100}',
      stream: "true",
    };
    expect(of(chat, "openai.chat")).toEqual({
      ...UNSET,
      temperature: 0,
      maxTokens: 9,
      stop: "END",
      more: '{\n  "logit_bias": {\n    "5": -100\n  }\n}',
    });
    const anthropic = { max_tokens: "9", stop_sequences: '["a","b"]', tool_choice: '{"type":"any"}' };
    expect(of(anthropic, "anthropic.messages")).toEqual({
      ...UNSET,
      maxTokens: 9,
      stop: "a\nb",
      toolChoice: "required",
    });
    const gemini = { generationConfig: '{"topP":0.5,"maxOutputTokens":9,"stopSequences":["a"]}' };
    expect(of(gemini, "gemini.generate")).toEqual({ ...UNSET, topP: 0.5, maxTokens: 9, stop: "a" });
  });
});
