/** The answers as they come, a column each. */

import { useEffect, useRef, useState } from "react";

import { problemOf, Unreachable } from "@/api/client";
import { send } from "@/api/playground";

import { type Answer, begun, NOTHING, whole } from "./answer";
import type { Dialect, Request } from "./dialect";
import { keepRuns, keptRuns, useKeeping } from "./kept";
import { EventReader } from "./sse";

export type State = "sent" | "answering" | "done" | "stopped" | "failed";
/** Refused: the gateway or the provider said no. Told: it was said in the midst of the answer. Broken: it ended before it was whole. */
export type Problem =
  | { kind: "refused"; status: number; message: string }
  | { kind: "told"; message: string }
  | { kind: "broken" }
  | { kind: "unreachable" };
/** Times are ms from when it was sent, in this browser. */
export type Run = {
  state: State;
  answer: Answer;
  callId: string | null;
  problem: Problem | null;
  firstToken: number | null;
  total: number | null;
};
/** By the column's id. */
export type Runs = Readonly<Record<string, Run>>;

const SENT: Run = { state: "sent", answer: NOTHING, callId: null, problem: null, firstToken: null, total: null };
export const UNDER_WAY = (run: Run | undefined) => run?.state === "sent" || run?.state === "answering";
const KEPT = 500; // ms between two times that a growing answer is kept

/** Sends a request and tells of its run as it goes. Ends when it has; never throws. */
export async function relayed(
  request: Request,
  dialect: Pick<Dialect, "fold" | "read">,
  signal: AbortSignal,
  tell: (run: Run) => void,
  now = () => performance.now(),
): Promise<void> {
  const start = now();
  let run = SENT;
  const set = (changes: Partial<Run>) => tell((run = { ...run, ...changes }));
  const answered = (answer: Answer) => {
    const firstToken = run.firstToken ?? (begun(answer) ? now() - start : null);
    run = { ...run, answer, firstToken };
  };
  set({});
  try {
    const response = await send(request.path, { ...request.body, ...request.more }, signal);
    set({ callId: response.headers.get("x-spangate-call-id"), state: "answering" });
    if (!response.ok) {
      const { status, message } = await problemOf(response);
      set({ state: "failed", problem: { kind: "refused", status, message }, total: now() - start });
      return;
    }
    if (response.headers.get("content-type")?.startsWith("text/event-stream")) {
      const events = new EventReader();
      const fold = (all: readonly string[]) => all.forEach((data) => answered(dialect.fold(run.answer, data)));
      for await (const bytes of pieces(response)) {
        fold(events.feed(bytes));
        set({});
      }
      fold(events.close());
    } else answered(dialect.read(await response.json()));
    const problem = problemIn(run.answer);
    set({ state: problem ? "failed" : "done", problem, total: now() - start });
  } catch (error) {
    const total = now() - start;
    if (signal.aborted) {
      set({ state: "stopped", total });
      return;
    }
    set({ state: "failed", problem: { kind: error instanceof Unreachable ? "unreachable" : "broken" }, total });
  }
}

function problemIn(answer: Answer): Problem | null {
  if (answer.error !== null) return { kind: "told", message: answer.error };
  return whole(answer) ? null : { kind: "broken" };
}

async function* pieces(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  for (;;) {
    const piece = await reader?.read();
    if (piece?.value === undefined) return;
    yield piece.value;
  }
}

/** The runs of the columns, those of before too. What is under way when the page is left is stopped. */
export function useRuns(columns: readonly string[]) {
  const [runs, setRuns] = useState(() => keptRuns(columns));
  const going = useRef(new Map<string, AbortController>());
  useKeeping(runs, keepRuns, KEPT);
  useEffect(() => {
    const { current } = going;
    return () => current.forEach((controller) => controller.abort());
  }, []);

  function start(id: string, request: Request, dialect: Dialect): void {
    stop(id);
    const controller = new AbortController();
    going.current.set(id, controller);
    const current = () => going.current.get(id) === controller;
    void relayed(request, dialect, controller.signal, (run) => {
      if (current()) setRuns((all) => ({ ...all, [id]: run }));
    }).finally(() => {
      if (current()) going.current.delete(id);
    });
  }

  function stop(id: string): void {
    going.current.get(id)?.abort();
  }

  /** Without what a column said, whose draft is another one now or which is gone. */
  function forget(ids: readonly string[]): void {
    for (const id of ids) {
      stop(id);
      going.current.delete(id);
    }
    setRuns((all) => Object.fromEntries(Object.entries(all).filter(([id]) => !ids.includes(id))));
  }

  return { runs, start, stop, forget };
}
