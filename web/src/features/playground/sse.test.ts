import { describe, expect, it } from "vitest";

import { EventReader } from "./sse";

const STREAM = [
  "\uFEFFdata: first\n\n",
  ": a comment\n",
  "event: message\nid: 7\ndata:second\ndata\ndata:  line – 日本 🙂\n\n",
  "retry: 5\n\n",
  "data: {}\n\n",
  "data: [DONE]\n\n",
].join("");
const EVENTS = ["first", "second\n\n line – 日本 🙂", "{}", "[DONE]"];
const encode = (text: string) => new TextEncoder().encode(text);

function read(...pieces: Uint8Array[]): string[] {
  const reader = new EventReader();
  return [...pieces.flatMap((piece) => reader.feed(piece)), ...reader.close()];
}

describe.each([
  ["LF", "\n"],
  ["CRLF", "\r\n"],
  ["CR", "\r"],
])("a stream with %s", (_, end) => {
  const bytes = encode(STREAM.replaceAll("\n", end));
  it("is the same events in one piece and cut at every byte", () => {
    expect(read(bytes)).toEqual(EVENTS);
    for (let cut = 0; cut <= bytes.length; cut++) expect(read(bytes.slice(0, cut), bytes.slice(cut))).toEqual(EVENTS);
    expect(read(...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(EVENTS);
  });
  it("tells each event as soon as its empty line is there", () => {
    const reader = new EventReader();
    expect(reader.feed(encode(`data: a${end}${end}data: b`))).toEqual(["a"]);
    expect(reader.feed(encode(`${end}${end}`))).toEqual(["b"]);
  });
});

it("ends with an event that lacks its empty line, or its end of line", () => {
  expect(read(encode("data: a\n\ndata: b\n"))).toEqual(["a", "b"]);
  expect(read(encode("data: a\n\ndata: b"))).toEqual(["a", "b"]);
});

it("is nothing where there is nothing", () => {
  expect(read()).toEqual([]);
  expect(read(encode(": only a comment\n\n"), new Uint8Array())).toEqual([]);
});
