/** What the pages' addresses say. Rubbish in them is the default. */

export const SORTS = ["name", "calls", "cost"] as const;
export type Sort = (typeof SORTS)[number];

export type View = { q: string; provider: string | null; sort: Sort };
export const DEFAULT: View = { q: "", provider: null, sort: "name" };

/** `?q=1` reads as a number: a name may be one. */
function text(said: unknown): string {
  return typeof said === "string" ? said : typeof said === "number" ? String(said) : "";
}

export function parseView(search: Readonly<Record<string, unknown>>): View {
  return {
    q: text(search.q),
    provider: text(search.provider) || null,
    sort: SORTS.find((sort) => sort === search.sort) ?? DEFAULT.sort,
  };
}

/** Without what is the default: an address as short as it can be. */
export function renderView(view: View): Record<string, unknown> {
  return {
    ...(view.q ? { q: view.q } : {}),
    ...(view.provider === null ? {} : { provider: view.provider }),
    ...(view.sort === DEFAULT.sort ? {} : { sort: view.sort }),
  };
}

/** `from`: the endpoint that a new one begins as a copy of. */
export function parseNew(search: Readonly<Record<string, unknown>>): { from: string | null } {
  return { from: text(search.from) || null };
}
