import { queryOptions } from "@tanstack/react-query";

import { answer, api, ApiProblem, type Schemas, Unreachable } from "./client";

export type Call = Schemas["Call"];

/** A call of the data plane, made by the session. Its answer is one of the provider's, or a refusal in the same format: nothing is thrown for it. */
export async function send(path: string, body: unknown, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      credentials: "same-origin",
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Unreachable();
  }
}

const WAIT = 10_000; // ms that one look takes at most
const LOOKS = 6; // until a call that is not in the ledger is said to be missing: control may be busy, or a stopped answer read to its end

/** What a call came to, as soon as it is in the ledger: a moment after its end. */
export function callQuery(callId: string) {
  return queryOptions({
    queryKey: ["calls", callId],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/api/v1/calls/{call_id}", {
          params: { path: { call_id: callId }, query: { wait_ms: WAIT } },
          signal,
        }),
      ),
    staleTime: Infinity,
    retry: (looks, error) => looks < LOOKS && !(error instanceof ApiProblem && error.status !== 404),
  });
}
