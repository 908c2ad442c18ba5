import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { answer, api, ApiProblem, type Schemas } from "./client";
import type { paths } from "./schema";

export type TraceRow = Schemas["TraceRow"];
export type Trace = Schemas["Trace"];
export type TraceAttempt = Schemas["TraceAttempt"];
export type TraceStatus = TraceRow["status"];

/** How calls end that usage counts as errors: otherwise than ok. */
export const FAILED = [
  "error",
  "timeout",
  "provider_gone",
  "client_gone",
  "refused",
  "unknown",
] as const satisfies readonly TraceStatus[];

/** What is asked of the list: the API's own words. */
export type TracesQuestion = Omit<
  NonNullable<paths["/api/v1/traces"]["get"]["parameters"]["query"]>,
  "max_results" | "page_token" | "newer_than"
>;

const FIRST = 50; // what is seen at once, as fast as it goes
const PAGE = 200;

function page(query: paths["/api/v1/traces"]["get"]["parameters"]["query"], signal: AbortSignal) {
  return answer(api.GET("/api/v1/traces", { params: { query }, signal }));
}

/** Never stale by itself: all pages of it would be fetched again. What has come since is `newTracesQuery`'s. */
export function tracesQuery(question: TracesQuestion) {
  return infiniteQueryOptions({
    queryKey: ["traces", "list", question],
    queryFn: ({ pageParam, signal }) =>
      page(
        { ...question, max_results: pageParam === null ? FIRST : PAGE, ...(pageParam && { page_token: pageParam }) },
        signal,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_page_token }) => next_page_token,
    staleTime: Infinity,
  });
}

export function traceQuery(traceId: string) {
  return queryOptions({
    queryKey: ["traces", "one", traceId],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/traces/{trace_id}", { params: { path: { trace_id: traceId } }, signal })),
    staleTime: 60_000, // a call is stored when it is over; tags may come later
  });
}

const ROUNDS = 4; // that one look at what is new may take
const MOST = 2_000; // new ones, all of which are put in order at each look that finds another

export type NewTraces = {
  /** The newest first. */
  rows: TraceRow[];
  /** What has been seen. */
  head: string;
  /** So many have come, or it was so long ago, that the list is better fetched anew. Nothing more is looked for then. */
  gap: boolean;
};

/** What has come since the list was fetched, whose `head` it is, and since each look after. `live`: ms between two looks. */
export function newTracesQuery(question: TracesQuestion, head: string, live: number | false) {
  const queryKey = ["traces", "new", question] as const;
  return queryOptions({
    queryKey,
    queryFn: async ({ signal, client }): Promise<NewTraces> => {
      let seen = client.getQueryData<NewTraces>(queryKey) ?? { rows: [], head, gap: false };
      if (seen.gap) return seen;
      for (let round = 0; round < ROUNDS; round++) {
        const came = await page({ ...question, newer_than: seen.head, max_results: PAGE }, signal).catch(tooOld);
        if (came === null) return { ...seen, gap: true };
        // The same rows when none came: they are neither compared nor put in order again.
        const rows = came.traces.length ? newestFirst([seen.rows, came.traces]) : seen.rows;
        seen = { rows, head: came.head, gap: rows.length > MOST };
        if (!came.more_newer || seen.gap) return seen;
      }
      return { ...seen, gap: true };
    },
    staleTime: 0,
    refetchInterval: live,
  });
}

/** Of the question the list itself was answered: what is refused is its head. */
function tooOld(error: unknown): null {
  if (error instanceof ApiProblem && error.status === 400) return null;
  throw error;
}

/** All of them, each once, as told last. */
export function newestFirst(lists: readonly (readonly TraceRow[])[]): TraceRow[] {
  const rows = new Map(lists.flat().map((row) => [row.trace_id, row]));
  const order = (a: string, b: string) => (a < b ? 1 : a > b ? -1 : 0);
  return [...rows.values()].sort((a, b) => order(a.received_at, b.received_at) || order(a.trace_id, b.trace_id));
}

/** What can be filtered by, where it can be told: names that calls of late have had. */
export const SUGGESTED = ["endpoint", "provider", "model", "key", "team", "owner"] as const;

export function suggestionsQuery(noun: (typeof SUGGESTED)[number]) {
  return queryOptions({
    queryKey: ["traces", "suggestions", noun],
    queryFn: async ({ signal }) => {
      const query = { last: "90d", group_by: [noun], order: "calls" as const, top: 50 };
      const usage = (await answer(api.GET("/api/v1/usage", { params: { query }, signal }))) as Schemas["Usage"];
      return usage.rows.flatMap((row) => (row.other || !row.group[noun] ? [] : [row.group[noun]]));
    },
    staleTime: 60_000,
  });
}
