/** A key as its form holds it. */

import type { Key, KeyAsked, KeyChanged, Role } from "@/api/keys";
import { minute } from "@/shared/format/time";
import { rowsOf, tagsOf, type TagRows } from "@/shared/pickers/tags";

export type Form = {
  name: string;
  role: Role;
  owner: string;
  team: string;
  endpoints: string[] | null;
  experiments: string[] | null;
  proxy: boolean;
  expires: string; // as `datetime-local` writes it: the person's own time; "": never
  tags: TagRows;
};

export const EMPTY: Form = {
  name: "",
  role: "developer",
  owner: "",
  team: "",
  endpoints: null,
  experiments: null,
  proxy: false,
  expires: "",
  tags: [],
};

export function formOf(key: Key): Form {
  return {
    name: key.name,
    role: key.role,
    owner: key.owner ?? "",
    team: key.team ?? "",
    endpoints: key.endpoints,
    experiments: key.experiments,
    proxy: key.scopes.includes("proxy"),
    expires: key.expires_at === null ? "" : minute(key.expires_at),
    tags: rowsOf(key.tags),
  };
}

export function askedOf(form: Form): KeyAsked {
  return { name: form.name.trim(), ...saidOf(form) };
}

function saidOf(form: Form): KeyChanged {
  return {
    role: form.role,
    scopes: form.proxy ? ["proxy"] : [],
    endpoints: form.endpoints,
    experiments: form.experiments,
    owner: form.owner.trim() || null,
    team: form.team.trim() || null,
    tags: tagsOf(form.tags),
    expires_at: form.expires ? new Date(form.expires).toISOString() : null,
  };
}

/** An end that was not touched stays as it is: the form shows no seconds. */
export function changesOf(form: Form, before: Key): KeyChanged {
  const { expires_at, ...said } = saidOf(form);
  return { ...said, ...(form.expires !== formOf(before).expires && { expires_at }) };
}

/** Whether a key still opens anything; `now` in ms. */
export function stateOf(key: Key, now: number): "active" | "revoked" | "expired" {
  if (key.revoked_at !== null) return "revoked";
  return key.expires_at !== null && Date.parse(key.expires_at) <= now ? "expired" : "active";
}
