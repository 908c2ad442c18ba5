/** Which conversations are looked for, as the address says it, in the API's own words. Rubbish in the address is not heeded. */

import type { SessionsQuestion } from "@/api/sessions";

export type View = { q: string; user: string; experimentIds: readonly string[] };

export function parseView(search: Readonly<Record<string, unknown>>): View {
  const experiments: unknown[] = Array.isArray(search.experiment_id) ? search.experiment_id : [search.experiment_id];
  return {
    q: text(search.q),
    user: text(search.user),
    experimentIds: experiments.map(text).filter((id) => /^\d+$/.test(id)),
  };
}

/** The router has made numbers of what looks like one. */
function text(said: unknown): string {
  return typeof said === "string" ? said : typeof said === "number" ? String(said) : "";
}

export function renderView(view: View): Record<string, unknown> {
  const [first, ...more] = view.experimentIds;
  return {
    ...(view.q && { q: view.q }),
    ...(view.user && { user: view.user }),
    ...(first !== undefined && { experiment_id: more.length ? [first, ...more] : first }),
  };
}

export function questionOf(view: View): SessionsQuestion {
  return {
    ...(view.q && { q: view.q }),
    ...(view.user && { user: view.user }),
    ...(view.experimentIds.length && { experiment_id: [...view.experimentIds] }),
  };
}
