import { afterEach, describe, expect, it, vi } from "vitest";

import { NOTHING } from "./answer";
import { openaiChat } from "./openai-chat";
import { relayed, type Run } from "./run";

const REQUEST = { path: "/v1/chat/completions", body: { model: "chat" }, more: { top_k: 3 } };

async function runs(answer: () => Promise<Response>, signal = new AbortController().signal): Promise<Run[]> {
  vi.stubGlobal("fetch", vi.fn(answer));
  const told: Run[] = [];
  let now = 0;
  await relayed(
    REQUEST,
    openaiChat,
    signal,
    (run) => told.push(run),
    () => (now += 10),
  );
  return told;
}

function streamed(...pieces: string[]): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      pieces.forEach((piece) => controller.enqueue(encoder.encode(piece)));
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "x-spangate-call-id": "c1" } });
}

const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;

describe("a run", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("grows as the stream comes, and says when its first words were there", async () => {
    const told = await runs(() => Promise.resolve(streamed(": hi\n\n", chunk("A"), chunk("B"), "data: [DONE]\n\n")));
    expect(told.map(({ state, answer }) => [state, answer.choices[0]?.text])).toEqual([
      ["sent", undefined],
      ["answering", undefined],
      ["answering", undefined],
      ["answering", "A"],
      ["answering", "AB"],
      ["answering", "AB"],
      ["done", "AB"],
    ]);
    expect(told.at(-1)).toMatchObject({ callId: "c1", firstToken: 10, total: 20, problem: null });
    expect(fetch).toHaveBeenCalledWith(
      "/v1/chat/completions",
      expect.objectContaining({ body: '{"model":"chat","top_k":3}', credentials: "same-origin" }),
    );
  });

  it("that ends before its answer does is broken, and keeps what came", async () => {
    const last = (await runs(() => Promise.resolve(streamed(chunk("A"))))).at(-1);
    expect([last?.state, last?.problem, last?.answer.choices[0]?.text]).toEqual(["failed", { kind: "broken" }, "A"]);
  });

  it("says what the gateway says instead of an answer", async () => {
    const body = JSON.stringify({ error: { message: "No endpoint is named so." } });
    const refused = new Response(body, { status: 404, headers: { "x-spangate-call-id": "c2" } });
    expect((await runs(() => Promise.resolve(refused))).at(-1)).toEqual({
      state: "failed",
      answer: NOTHING,
      callId: "c2",
      problem: { kind: "refused", status: 404, message: "No endpoint is named so." },
      firstToken: null,
      total: 10,
    });
  });

  it("tells a gateway that is not there from an answer that is none", async () => {
    const gone = await runs(() => Promise.reject(new TypeError("Failed to fetch")));
    const none = await runs(() => Promise.resolve(new Response("<html>")));
    expect([gone.at(-1)?.problem, none.at(-1)?.problem]).toEqual([{ kind: "unreachable" }, { kind: "broken" }]);
  });

  it("that is stopped is not a failed one", async () => {
    const controller = new AbortController();
    const told = await runs(() => {
      controller.abort();
      return Promise.reject(new DOMException("aborted", "AbortError"));
    }, controller.signal);
    expect([told.at(-1)?.state, told.at(-1)?.problem]).toEqual(["stopped", null]);
  });
});
