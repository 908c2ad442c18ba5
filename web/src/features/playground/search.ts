/** What the playground is opened with: `?endpoint=<name>`, `?trace=<trace_id>`. */

import type { Trace } from "@/api/traces";

import { column, type Draft } from "./draft";
import { draftOf } from "./from-trace";

export type Opening = { endpoint: string | null; trace: string | null };

export function parseOpening(search: Readonly<Record<string, unknown>>): Opening {
  return { endpoint: name(search.endpoint), trace: name(search.trace) };
}

/** The router reads `?endpoint=4` as a number. */
function name(said: unknown): string | null {
  const text = typeof said === "number" ? String(said) : said;
  return typeof text === "string" && text !== "" ? text : null;
}

/** The draft that the address opens, in place of the one that was kept. `visit`: of this address. */
export function openedWith(kept: Draft, { endpoint }: Opening, trace: Trace | undefined, visit: string): Draft {
  if (kept.opened === visit) return kept;
  if (trace?.conversation) return { ...draftOf(trace, trace.conversation), opened: visit };
  if (endpoint === null) return kept;
  const [first, ...others] = kept.columns;
  return { ...kept, columns: [column(endpoint, first?.parameters), ...others], opened: visit };
}
