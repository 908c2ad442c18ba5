/** An override as its form holds it. */

import type { Override, OverrideAsked, OverrideChanged } from "@/api/prices";
import { minute } from "@/shared/format/time";

/** The classes of tokens that the form offers: those that contracts are about. The API and the command line take all. */
export const RATES = ["input", "cache_read", "output", "cache_write"] as const;
type Rate = (typeof RATES)[number];

/** null and "": any, or none said. Times as `datetime-local` writes them. */
export type OverrideForm = {
  name: string;
  endpoint: string | null;
  secret: string | null;
  provider: string | null;
  model: string;
  from: string;
  to: string;
  kind: "multiplier" | "rates";
  multiplier: string;
  rates: Record<Rate, string>;
};

export const EMPTY: OverrideForm = {
  name: "",
  endpoint: null,
  secret: null,
  provider: null,
  model: "",
  from: "",
  to: "",
  kind: "multiplier",
  multiplier: "",
  rates: { input: "", cache_read: "", output: "", cache_write: "" },
};

export function askedOf(form: OverrideForm): OverrideAsked {
  const rates = RATES.flatMap((rate) => (form.rates[rate].trim() ? [[rate, form.rates[rate].trim()] as const] : []));
  return {
    name: form.name.trim(),
    endpoint_id: form.endpoint,
    secret_id: form.secret,
    provider: form.provider,
    model: form.model.trim() || null,
    effective_from: moment(form.from),
    effective_to: moment(form.to),
    multiplier: form.kind === "multiplier" ? form.multiplier.trim() || null : null,
    rates: form.kind === "rates" ? Object.fromEntries(rates) : null,
  };
}

function moment(said: string): string | null {
  return said ? new Date(said).toISOString() : null;
}

type Named = Pick<OverrideForm, "name" | "from" | "to">;

export function namedOf({ name, effective_from, effective_to }: Override): Named {
  return { name, from: effective_from ? minute(effective_from) : "", to: effective_to ? minute(effective_to) : "" };
}

/** What was not touched stays as it is: the form shows no seconds. */
export function changesOf(form: Named, before: Override): OverrideChanged {
  const was = namedOf(before);
  return {
    name: form.name.trim(),
    ...(form.from !== was.from && { effective_from: moment(form.from) }),
    ...(form.to !== was.to && { effective_to: moment(form.to) }),
  };
}
