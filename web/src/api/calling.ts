/** Calls of the data plane, under the session's cookie: the gateway takes them from its own pages alone. */

import { Unreachable } from "./client";

export type Kind = "chat" | "embeddings";

export type Outcome = {
  ok: boolean;
  status: number;
  /** Until the whole answer was here. */
  ms: number;
  text: string;
  model: string | null;
  /** null: not told. */
  tokens: { input: number | null; output: number | null } | null;
  traceId: string | null;
};

/** One call, not streamed. What the endpoint answers is the outcome, whether it could or not; raises if the gateway was not reached. */
export async function testCall(endpoint: string, kind: Kind, text: string, signal: AbortSignal): Promise<Outcome> {
  const chat = kind === "chat";
  const began = performance.now();
  const response = await fetch(chat ? "/v1/chat/completions" : "/v1/embeddings", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(
      chat ? { model: endpoint, messages: [{ role: "user", content: text }] } : { model: endpoint, input: text },
    ),
    signal,
  }).catch((error: unknown) => {
    throw error instanceof DOMException ? error : new Unreachable();
  });
  const said = await response.text();
  return {
    ok: response.ok,
    status: response.status,
    ms: performance.now() - began,
    traceId: response.headers.get("x-spangate-trace-id"),
    ...read(said, kind),
  };
}

type Answer = {
  model?: string;
  choices?: { message?: { content?: string | null } }[];
  data?: { embedding?: number[] | string }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null;
  error?: { message?: string };
};

/** What of an answer is shown. One that is not as it should be is shown as it is. */
export function read(said: string, kind: Kind): Pick<Outcome, "text" | "model" | "tokens"> {
  let answer: Answer;
  try {
    answer = JSON.parse(said) as Answer;
  } catch {
    return { text: said, model: null, tokens: null };
  }
  const vector = answer.data?.[0]?.embedding;
  const content = kind === "chat" ? answer.choices?.[0]?.message?.content : vector && vectorOf(vector);
  const { usage } = answer;
  return {
    text: answer.error?.message ?? content ?? said,
    model: answer.model ?? null,
    tokens: usage
      ? {
          input: usage.prompt_tokens ?? null,
          output: usage.completion_tokens ?? (kind === "chat" ? null : 0), // a vector has none
        }
      : null,
  };
}

function vectorOf(vector: number[] | string): string {
  return typeof vector === "string"
    ? `${vector.slice(0, 80)}…`
    : `[${vector.slice(0, 6).join(", ")}, …] (${vector.length})`;
}
