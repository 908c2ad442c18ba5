import { afterEach, describe, expect, it } from "vitest";

import { queryClient } from "@/api/client";
import { sessionQuery } from "@/api/session";

import { anthropicMessages } from "./anthropic-messages";
import { column, continued, type Draft, empty, message, type Parameters, setOnes, UNSET } from "./draft";
import { keepDraft, keptDraft } from "./kept";
import { openaiChat } from "./openai-chat";
import { flaw, requestOf } from "./request";
import { openedWith, parseOpening } from "./search";

const DRAFT: Draft = { ...empty(), messages: [message("user", "Hi")] };
const of = (changes: Partial<Parameters>) => column("chat", { ...UNSET, ...changes });

describe("a column without a flaw", () => {
  it("has an endpoint, and something to say", () => {
    expect(flaw(DRAFT, column("chat"), openaiChat)).toBeNull();
    expect(flaw(DRAFT, column(null), openaiChat)).toBe("noEndpoint");
    expect(flaw(empty(), column("chat"), openaiChat)).toBe("noMessage");
  });
  it("has JSON where JSON belongs", () => {
    expect(flaw(DRAFT, of({ more: "[1]" }), openaiChat)).toBe("badMore");
    expect(flaw(DRAFT, of({ format: "json_schema", schema: "{" }), openaiChat)).toBe("badSchema");
    expect(flaw(DRAFT, of({ format: "json_schema", schema: "{" }), anthropicMessages)).toBeNull(); // it is not sent
    const tools = [{ id: "t", name: "f", description: "", schema: "[]" }];
    expect(flaw({ ...DRAFT, tools }, column("chat"), openaiChat)).toBe("badTool");
    const called = message("assistant", "", { calls: [{ id: "c", name: "f", arguments: "{" }] });
    const draft = { ...DRAFT, messages: [...DRAFT.messages, called] };
    expect([flaw(draft, column("chat"), openaiChat), flaw(draft, column("chat"), anthropicMessages)]).toEqual([
      null,
      "badCall",
    ]);
  });
  it("is sent with what its column wants besides", () =>
    expect(requestOf(DRAFT, of({ more: '{"top_k": 3}' }), openaiChat, "vllm")).toMatchObject({
      path: "/v1/chat/completions",
      more: { top_k: 3 },
    }));
});

it("counts the parameters that are set", () => {
  expect(setOnes(UNSET)).toEqual([]);
  expect(setOnes({ ...UNSET, temperature: 0, stream: false, schema: "{}" })).toEqual(["temperature", "stream"]);
});

it("goes on from an answer with a place for what comes next", () => {
  const roles = (messages: Draft["messages"]) => messages.map(({ role, callId }) => [role, callId]);
  expect(roles(continued(empty().messages, { text: "Yes", calls: [] }))).toEqual([
    ["assistant", ""],
    ["user", ""],
  ]);
  const calls = [
    { id: "a", name: "f", arguments: "{}" },
    { id: "b", name: "g", arguments: "{}" },
  ];
  expect(roles(continued(DRAFT.messages, { text: "", calls }))).toEqual([
    ["user", ""],
    ["assistant", ""],
    ["tool", "a"],
    ["tool", "b"],
  ]);
});

describe("what was written", () => {
  const draft = { ...DRAFT, system: "Be short.", columns: [of({ temperature: 1 })] };
  const signedIn = () => queryClient.setQueryData(sessionQuery.queryKey, {} as never);
  afterEach(() => {
    queryClient.clear();
    sessionStorage.clear();
  });
  it("is kept, and what cannot be read is an empty one", () => {
    signedIn();
    expect([keepDraft(draft), keptDraft()]).toEqual([true, draft]);
    sessionStorage.setItem("spangate.playground.draft", '{"system": 7}');
    expect(keptDraft()).toMatchObject({ system: "", columns: [{ endpoint: null }] });
  });
  it("is not kept of who has signed out", () => {
    keepDraft(draft);
    expect(sessionStorage).toHaveLength(0);
  });
});

it("opens with what its address says", () => {
  expect(parseOpening({ endpoint: "chat", trace: ["x"] })).toEqual({ endpoint: "chat", trace: null });
  expect(parseOpening({ endpoint: 4, trace: "" })).toEqual({ endpoint: "4", trace: null });
});

it("is opened once a visit: coming back finds what was made of it", () => {
  const opening = { endpoint: "other", trace: null };
  const opened = openedWith({ ...DRAFT, columns: [of({ seed: 1 }), column("second")] }, opening, undefined, "v1");
  expect(opened.columns.map(({ endpoint }) => endpoint)).toEqual(["other", "second"]);
  expect([opened.columns[0]?.parameters.seed, opened.messages]).toEqual([1, DRAFT.messages]);
  const changed = { ...opened, columns: [column("third")] };
  expect(openedWith(changed, opening, undefined, "v1")).toBe(changed);
  expect(openedWith(changed, opening, undefined, "v2").columns[0]?.endpoint).toBe("other");
});
