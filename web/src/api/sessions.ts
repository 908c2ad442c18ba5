import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { answer, api, type Schemas } from "./client";
import type { paths } from "./schema";

export type Session = Schemas["Session"];
export type Turn = Schemas["Turn"];

/** What is asked of the list: the API's own words. */
export type SessionsQuestion = Omit<
  NonNullable<paths["/api/v1/sessions"]["get"]["parameters"]["query"]>,
  "max_results" | "page_token"
>;

const FIRST = 50; // what is seen at once
const PAGE = 100;
const TURNS = 20;

export function sessionsQuery(question: SessionsQuestion) {
  return infiniteQueryOptions({
    queryKey: ["sessions", "list", question],
    queryFn: ({ pageParam, signal }) => {
      const size = pageParam === null ? FIRST : PAGE;
      const query = { ...question, max_results: size, ...(pageParam && { page_token: pageParam }) };
      return answer(api.GET("/api/v1/sessions", { params: { query }, signal }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_page_token }) => next_page_token,
    staleTime: 30_000,
  });
}

/** What a session came to; null: it has none that may be seen. */
export function sessionFiguresQuery(sessionId: string) {
  return queryOptions({
    queryKey: ["sessions", "figures", sessionId],
    queryFn: async ({ signal }) => {
      const query = { session_id: sessionId, max_results: 1 };
      const { sessions } = await answer(api.GET("/api/v1/sessions", { params: { query }, signal }));
      return sessions[0] ?? null;
    },
  });
}

/** What was said in it, the oldest first. */
export function turnsQuery(sessionId: string) {
  return infiniteQueryOptions({
    queryKey: ["sessions", "turns", sessionId],
    queryFn: ({ pageParam, signal }) => {
      const query = { max_results: TURNS, ...(pageParam && { page_token: pageParam }) };
      return answer(
        api.GET("/api/v1/sessions/{session_id}", { params: { path: { session_id: sessionId }, query }, signal }),
      );
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_page_token }) => next_page_token,
    staleTime: 30_000,
  });
}
