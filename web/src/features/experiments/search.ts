/** Which experiments are shown, as the address says it. */

import type { Lifecycle } from "@/api/experiments";

export const LIFECYCLES = ["active", "deleted"] as const satisfies readonly Lifecycle[];
export type Search = { q: string; lifecycle: (typeof LIFECYCLES)[number]; page: string | null };

export function parseSearch(search: Readonly<Record<string, unknown>>): Search {
  return {
    q: typeof search.q === "string" ? search.q : "",
    lifecycle: search.lifecycle === "deleted" ? "deleted" : "active",
    page: typeof search.page === "string" ? search.page : null,
  };
}

export function renderSearch({ q, lifecycle, page }: Search): Record<string, string> {
  return { ...(q && { q }), ...(lifecycle === "deleted" && { lifecycle }), ...(page && { page }) };
}
