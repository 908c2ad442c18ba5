/** Which traces are looked for, as the address says it, in the API's own words. Rubbish in the address is not heeded. */

import { FAILED, type TracesQuestion, type TraceStatus } from "@/api/traces";

/** Of each of these any value may be asked for; of several tags all. */
export const NOUNS = [
  "endpoint",
  "provider",
  "model",
  "key",
  "team",
  "owner",
  "status",
  "user",
  "session",
  "experiment_id",
  "tag",
] as const;
export const NUMBERS = ["min_ms", "max_ms", "since_ms", "until_ms"] as const;
export const STATUSES = ["ok", ...FAILED] as const satisfies readonly TraceStatus[];
export type Noun = (typeof NOUNS)[number];
export type Measure = (typeof NUMBERS)[number];

export type View = { q: string; live: boolean; values: Record<Noun, readonly string[]> } & Record<
  Measure,
  number | null
>;

export const EVERYTHING: View = {
  q: "",
  live: false,
  values: {
    endpoint: [],
    provider: [],
    model: [],
    key: [],
    team: [],
    owner: [],
    status: [],
    user: [],
    session: [],
    experiment_id: [],
    tag: [],
  },
  min_ms: null,
  max_ms: null,
  since_ms: null,
  until_ms: null,
};

type Search = Readonly<Record<string, unknown>>;

export function parseView(search: Search): View {
  const view: View = { ...EVERYTHING, values: { ...EVERYTHING.values }, q: texts(search.q)[0] ?? "" };
  view.live = search.live === true;
  for (const noun of NOUNS) {
    const said = [...new Set(texts(search[noun]))];
    view.values[noun] = noun === "status" ? STATUSES.filter((status) => said.includes(status)) : said;
  }
  view.values.tag = view.values.tag.filter((tag) => tag.indexOf(":") > 0);
  for (const measure of NUMBERS) view[measure] = amount(search[measure]);
  return view;
}

/** One value or several; the router has made numbers of what looks like one. */
function texts(said: unknown): string[] {
  const all: unknown[] = Array.isArray(said) ? said : [said];
  return all
    .map((one) => (typeof one === "number" || typeof one === "boolean" ? String(one) : one))
    .filter((one): one is string => typeof one === "string" && one !== "");
}

function amount(said: unknown): number | null {
  const number = typeof said === "number" || (typeof said === "string" && said !== "") ? Number(said) : NaN;
  return Number.isSafeInteger(number) && number >= 0 ? number : null;
}

/** Without what is not asked for. */
export function renderView(view: View): Record<string, unknown> {
  return {
    ...(view.q && { q: view.q }),
    ...Object.fromEntries(
      NOUNS.flatMap((noun) => {
        const [first, ...more] = view.values[noun];
        return first === undefined ? [] : [[noun, more.length ? [first, ...more] : first]];
      }),
    ),
    ...Object.fromEntries(NUMBERS.flatMap((measure) => (view[measure] === null ? [] : [[measure, view[measure]]]))),
    ...(view.live && { live: true }),
  };
}

/** What the API is asked. */
export function questionOf(view: View): TracesQuestion {
  return {
    ...(view.q && { q: view.q }),
    ...Object.fromEntries(NOUNS.flatMap((noun) => (view.values[noun].length ? [[noun, view.values[noun]]] : []))),
    ...Object.fromEntries(NUMBERS.flatMap((measure) => (view[measure] === null ? [] : [[measure, view[measure]]]))),
  };
}

export function isFiltered(view: View): boolean {
  return Object.keys(questionOf(view)).length > 0;
}

export function withValue(view: View, noun: Noun, value: string): View {
  return { ...view, values: { ...view.values, [noun]: [...new Set([...view.values[noun], value])] } };
}

export function withoutValue(view: View, noun: Noun, value: string): View {
  return { ...view, values: { ...view.values, [noun]: view.values[noun].filter((one) => one !== value) } };
}
