/** The playground as it was left, for as long as the tab is open. */

import { useEffect, useRef, useState } from "react";

import { queryClient } from "@/api/client";
import { sessionQuery } from "@/api/session";

import { items, mapping, parsed, text } from "./answer";
import { COLUMNS, type Draft, empty, UNSET } from "./draft";
import type { Run, Runs } from "./run";

const DRAFT = "spangate.playground.draft";
const RUNS = "spangate.playground.runs";

/** Whether there was room for it: images can be larger than what a browser keeps. */
export function keepDraft(draft: Draft): boolean {
  return keep(DRAFT, draft);
}

/** An answer that was still coming is one that was stopped. */
export function keepRuns(runs: Runs): boolean {
  return keep(RUNS, Object.fromEntries(Object.entries(runs).map(([id, run]) => [id, atRest(run)])));
}

function atRest(run: Run): Run {
  return run.state === "sent" || run.state === "answering" ? { ...run, state: "stopped" } : run;
}

/** Whatever is not as this version writes it is not there. */
export function keptDraft(): Draft {
  const said = mapping(parsed(sessionStorage.getItem(DRAFT) ?? ""));
  const messages = items(said.messages).map(mapping);
  const columns = items(said.columns).map(mapping);
  const sound =
    typeof said.system === "string" &&
    columns.length > 0 &&
    columns.length <= COLUMNS &&
    columns.every(({ parameters }) => typeof mapping(parameters).stream === "boolean") &&
    messages.every(({ id, parts, calls }) => text(id) && Array.isArray(parts) && Array.isArray(calls)) &&
    Array.isArray(said.tools);
  if (!sound) return empty();
  const draft = said as unknown as Draft;
  // A parameter that came with a newer version is not set.
  return {
    ...draft,
    columns: draft.columns.map((one) => ({ ...one, parameters: { ...UNSET, ...one.parameters } })),
  };
}

export function keptRuns(columns: readonly string[]): Runs {
  const said = mapping(parsed(sessionStorage.getItem(RUNS) ?? ""));
  const sound = Object.entries(said).filter(
    ([id, run]) => columns.includes(id) && Array.isArray(mapping(mapping(run).answer).choices),
  );
  return Object.fromEntries(sound) as Runs;
}

function keep(name: string, value: unknown): boolean {
  if (!queryClient.getQueryData(sessionQuery.queryKey)) return true; // who has signed out leaves nothing here
  try {
    sessionStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    sessionStorage.removeItem(name); // rather nothing than what was before
    return false;
  }
}

/** Keeps what changes: `pause` ms after its last change, and when the page is left. Whether there was room for it. */
export function useKeeping<T>(value: T, keep: (value: T) => boolean, pause: number): boolean {
  const [kept, setKept] = useState(true);
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
    const timer = setTimeout(() => setKept(keep(value)), pause);
    return () => clearTimeout(timer);
  }, [value, keep, pause]);
  useEffect(() => {
    const last = () => keep(latest.current);
    window.addEventListener("pagehide", last);
    return () => {
      window.removeEventListener("pagehide", last);
      last();
    };
  }, [keep]);
  return kept;
}
