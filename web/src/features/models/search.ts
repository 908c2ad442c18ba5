/** What the page of models shows, as its address says it. */

export const TABS = ["models", "overrides", "disagreements"] as const;
export type Search = { tab: (typeof TABS)[number]; provider: string | null; q: string };

export function parseSearch(search: Readonly<Record<string, unknown>>): Search {
  return {
    tab: TABS.find((tab) => tab === search.tab) ?? "models",
    provider: typeof search.provider === "string" && search.provider ? search.provider : null,
    q: typeof search.q === "string" ? search.q : "",
  };
}

export function renderSearch({ tab, provider, q }: Search): Record<string, string> {
  return { ...(tab !== "models" && { tab }), ...(provider !== null && { provider }), ...(q && { q }) };
}
