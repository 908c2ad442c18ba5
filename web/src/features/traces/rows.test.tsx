import { QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { api, ApiProblem, queryClient } from "@/api/client";

import { useTraces } from "./rows";
import { EVERYTHING, withValue } from "./search";

const row = (trace_id: string) => ({ trace_id, received_at: trace_id });
const FILTERED = withValue(EVERYTHING, "status", "error");

type Query = { newer_than?: string; status?: string[]; page_token?: string };
let asked: Query[];
let answer: (query: Query) => { traces: object[]; more_newer?: boolean } | ApiProblem;

beforeEach(() => {
  asked = [];
  answer = ({ newer_than }) => ({ traces: newer_than === undefined ? [row("a")] : [] });
  vi.spyOn(api, "GET").mockImplementation(((_: string, { params }: { params: { query: Query } }) => {
    asked.push(params.query);
    const said = answer(params.query);
    if (said instanceof ApiProblem) return Promise.reject(said);
    return Promise.resolve({ data: { head: "h", next_page_token: "older", more_newer: false, ...said } });
  }) as unknown as typeof api.GET);
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
  queryClient.clear();
});

async function shown() {
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={queryClient}>{children}</QueryClientProvider>
  );
  const hook = renderHook(({ view }) => useTraces(view), { wrapper, initialProps: { view: EVERYTHING } });
  await waitFor(() => expect(ids(hook.result)).toEqual(["a"]));
  return hook;
}
const ids = ({ current }: { current: ReturnType<typeof useTraces> }) => current.rows.map(({ trace_id }) => trace_id);

it("finds what has come since when a filter is taken off again", async () => {
  const { result, rerender } = await shown();
  answer = ({ status }) => ({ traces: status ? [] : [row("b")] });
  rerender({ view: FILTERED });
  await waitFor(() => expect(result.current.isLoading).toBe(false));
  expect(ids(result)).toEqual([]);
  rerender({ view: EVERYTHING });
  await waitFor(() => expect(ids(result)).toEqual(["b", "a"]));
  expect(asked.map(({ status, newer_than }) => [status, newer_than])).toEqual([
    [undefined, undefined],
    [["error"], undefined],
    [undefined, "h"],
  ]);
});

it("looks for what is new again, and for nothing older, when that look has failed", async () => {
  (await shown()).unmount();
  answer = ({ newer_than }) => (newer_than ? new ApiProblem(409, "Not now") : { traces: [] });
  const { result } = await shown();
  await waitFor(() => expect(result.current.error?.message).toBe("Not now"));
  answer = () => ({ traces: [row("b")] });
  act(() => result.current.retry());
  await waitFor(() => expect(ids(result)).toEqual(["b", "a"]));
  expect(result.current.error).toBeNull();
  expect(asked.filter(({ page_token }) => page_token)).toEqual([]);
});

it("leaves the list to who reads further down in it, however much has come", async () => {
  (await shown()).unmount();
  answer = () => ({ traces: [row("b")], more_newer: true });
  const { result } = await shown();
  await waitFor(() => expect(ids(result)).toEqual(["b", "a"]));
  expect(asked.filter(({ newer_than }) => !newer_than)).toHaveLength(1);
  answer = ({ newer_than }) => ({ traces: newer_than ? [] : [row("c")] });
  act(() => result.current.setAtTop(true));
  await waitFor(() => expect(ids(result)).toEqual(["c"]));
});
