import { describe, expect, it } from "vitest";

import { added, inline, type Message, remote, type Said, toolNames } from "./said";

const text = (role: string, said: string): Message => ({
  role,
  name: null,
  parts: [{ type: "text", text: said }],
  finish_reason: null,
});
const said = (messages: Message[], answers: Message[]): Said => ({
  messages,
  answers,
  tools: [],
  parameters: {},
  error: null,
  missing: [],
});

describe("what a request adds", () => {
  const before = said([text("system", "Be short."), text("user", "Hi")], [text("assistant", "Hello.")]);
  it("is all of the first one", () => expect(added(null, before.messages)).toEqual(before.messages));
  it("leaves out what was said before, the answer in other words too", () =>
    expect(added(before, [...before.messages, text("assistant", "Hello"), text("user", "Why?")])).toEqual([
      text("user", "Why?"),
    ]));
  it("leaves out no answer that there was not", () => {
    const own = text("assistant", "made up");
    expect(added(said([...before.messages], []), [...before.messages, own])).toEqual([own]);
  });
  it("is all of it where the beginning is another", () => {
    const other = [text("system", "Be long."), text("user", "Hi"), text("user", "Why?")];
    expect(added(before, other)).toEqual(other);
    expect(added(before, [text("system", "Be short.")])).toEqual([text("system", "Be short.")]);
  });
  it("is nothing for the same question again", () => expect(added(before, before.messages)).toEqual([]));
});

it("shows what was sent itself, of its kind, and nothing from elsewhere", () => {
  expect([
    inline("data:image/png;base64,AA", "image"),
    inline("data:text/html,<b>", "image"),
    inline("https://example.com/a.png", "image"),
    inline(null, "image"),
  ]).toEqual(["data:image/png;base64,AA", null, null, null]);
  expect([
    remote("https://example.com/a.png"),
    remote("javascript:alert(1)"),
    remote("file-abc"),
    remote("https://"),
    remote(null),
  ]).toEqual(["https://example.com/a.png", null, null, null, null]);
});

it("knows tools by the id of their call", () => {
  const call: Message = {
    ...text("assistant", ""),
    parts: [{ type: "tool_call", call_id: "c1", name: "look", arguments: "{}" }],
  };
  expect(toolNames([call]).get("c1")).toBe("look");
});
