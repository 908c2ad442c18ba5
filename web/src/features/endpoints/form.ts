/** An endpoint as its form has it, and the way there and back: the API's document is what is sent. */

import type { Endpoint, EndpointAsked, EndpointSettings, Target, TargetAsked } from "@/api/endpoints";
import type { Provider } from "@/api/providers";
import { type CredentialChoice, secretDocument } from "@/shared/pickers/credential";
import { rowsOf, type TagRows, tagsOf } from "@/shared/pickers/tags";

/** `was`: the model definition that it had when it was read: it keeps it while it says the same. `share`: in percent, of a primary. */
export type TargetDraft = {
  id: string;
  provider: string | null;
  model: string;
  credential: CredentialChoice;
  share: number;
  was: Pick<Target, "model_definition_id" | "provider" | "model" | "secret_id"> | null;
};

/** `experiment`: its name; "": `gateway/<name>`. */
export type Draft = {
  name: string;
  primaries: readonly TargetDraft[];
  fallbacks: readonly TargetDraft[];
  maxAttempts: number | null;
  usageTracking: boolean;
  experiment: string;
  settings: EndpointSettings;
  aliases: readonly string[];
  tags: TagRows;
};

let made = 0;

export function newTarget(share = 0): TargetDraft {
  made += 1;
  return { id: `t${made}`, provider: null, model: "", credential: { kind: "none" }, share, was: null };
}

export function emptyDraft(): Draft {
  return {
    name: "",
    primaries: [newTarget(100)],
    fallbacks: [],
    maxAttempts: null,
    usageTracking: true,
    experiment: "",
    settings: {},
    aliases: [],
    tags: [],
  };
}

export function draftOf(endpoint: Endpoint): Draft {
  const shares = wholeShares(endpoint.primaries.map((primary) => primary.share));
  return {
    name: endpoint.name,
    primaries: endpoint.primaries.map((primary, place) => targetOf(primary, shares[place] ?? 0)),
    fallbacks: endpoint.fallbacks.map((fallback) => targetOf(fallback, 0)),
    maxAttempts: endpoint.max_attempts,
    usageTracking: endpoint.usage_tracking,
    experiment: endpoint.experiment?.name ?? "",
    settings: endpoint.settings,
    aliases: endpoint.aliases,
    tags: rowsOf(endpoint.tags),
  };
}

function targetOf(target: Target, share: number): TargetDraft {
  return {
    ...newTarget(share),
    provider: target.provider,
    model: target.model,
    credential: target.secret_id === null ? { kind: "none" } : { kind: "kept", secretId: target.secret_id },
    was: target,
  };
}

/** The same under another name. Its aliases stay where they are: each means one endpoint. Its traces go to an experiment of its own. */
export function copyOf(endpoint: Endpoint, taken: readonly string[]): Draft {
  let name = `${endpoint.name}-copy`;
  for (let number = 2; taken.includes(name); number += 1) name = `${endpoint.name}-copy-${number}`;
  const own = endpoint.experiment?.name === defaultExperiment(endpoint.name);
  return { ...draftOf(endpoint), name, aliases: [], ...(own ? { experiment: "" } : {}) };
}

export function defaultExperiment(name: string): string {
  return `gateway/${name}`;
}

/** A name that says what is behind it, for whoever has not thought of one. */
export function nameFor(model: string): string {
  const last = model.split("/").at(-1) ?? "";
  return last.replace(/[^\w.-]+/g, "-").replace(/^-+|-+$/g, "");
}

// ---------------------------------------------------------------- what is sent

/** `before`: the endpoint as it was read, if it is an old one. */
export function documentOf(draft: Draft, providers: readonly Provider[], before: Endpoint | null): EndpointAsked {
  const all = [...draft.primaries, ...draft.fallbacks];
  const asked = (target: TargetDraft) => targetAsked(target, all, providers);
  return {
    name: draft.name.trim(),
    primaries: draft.primaries.map((target) => ({ ...asked(target), weight: target.share })),
    fallbacks: draft.fallbacks.map(asked),
    max_attempts: draft.maxAttempts,
    usage_tracking: draft.usageTracking,
    experiment: experimentAsked(draft, before),
    settings: draft.settings,
    aliases: [...draft.aliases],
    tags: tagsOf(draft.tags),
  };
}

function experimentAsked(draft: Draft, before: Endpoint | null): EndpointAsked["experiment"] {
  const name = draft.experiment.trim();
  // What was not touched stays, also where it was deleted meanwhile, or may not be seen.
  if (before && name === (before.experiment?.name ?? "")) return null;
  if (name) return { name };
  return draft.usageTracking && before ? { name: defaultExperiment(draft.name.trim()) } : null;
}

function targetAsked(target: TargetDraft, all: readonly TargetDraft[], providers: readonly Provider[]): TargetAsked {
  const { was } = target;
  const provider = target.provider ?? undefined;
  const model = target.model.trim();
  const credential = credentialOf(target, all);
  const secretId = credential.kind === "kept" ? credential.secretId : null;
  if (credential.kind === "new") {
    const row = providers.find(({ name }) => name === provider);
    return row ? { provider: row.name, model, secret: secretDocument(credential.secret, row) } : { model };
  }
  const same = was !== null && was.provider === provider && was.model === model && was.secret_id === secretId;
  return {
    ...(same ? { model_definition_id: was.model_definition_id } : {}),
    ...(provider === undefined ? {} : { provider }),
    model,
    secret_id: secretId,
  };
}

function credentialOf(target: TargetDraft, all: readonly TargetDraft[]): CredentialChoice {
  const { credential } = target;
  if (credential.kind !== "shared") return credential;
  return all.find(({ id }) => id === credential.with)?.credential ?? { kind: "none" };
}

/** New secrets of that provider that other targets of the form make. */
export function sharedWith(draft: Draft, target: TargetDraft): { with: string; name: string }[] {
  return [...draft.primaries, ...draft.fallbacks].flatMap((other) =>
    other.id !== target.id && other.provider === target.provider && other.credential.kind === "new"
      ? [{ with: other.id, name: other.credential.secret.name }]
      : [],
  );
}

/** Whoever shared a new secret with a target that has given it up makes it in its stead; the others share with that one. */
export function settled(draft: Draft, before: Draft): Draft {
  const had = new Map([...before.primaries, ...before.fallbacks].map((target) => [target.id, target]));
  const holders = new Map([...draft.primaries, ...draft.fallbacks].map((target) => [target.id, target]));
  const heirs = new Map<string, string>();
  const settle = (target: TargetDraft): TargetDraft => {
    const { credential } = target;
    if (credential.kind !== "shared") return target;
    const holder = holders.get(credential.with);
    if (holder?.credential.kind === "new" && holder.provider === target.provider) return target;
    const heir = heirs.get(credential.with);
    if (heir !== undefined) return { ...target, credential: { kind: "shared", with: heir } };
    heirs.set(credential.with, target.id);
    const last = had.get(credential.with)?.credential;
    return { ...target, credential: last?.kind === "new" ? last : { kind: "none" } };
  };
  return { ...draft, primaries: draft.primaries.map(settle), fallbacks: draft.fallbacks.map(settle) };
}

/** `place`: where it stands afterwards. */
export function moved(targets: readonly TargetDraft[], id: string, place: number): TargetDraft[] {
  const target = targets.find((one) => one.id === id);
  const rest = targets.filter((one) => one.id !== id);
  return target ? rest.toSpliced(place, 0, target) : rest;
}

// ---------------------------------------------------------------- the split of the calls

const HUNDREDTHS = 10_000; // of a percent, in a whole

/** Shares in percent to two digits, that come to 100 exactly: the largest rests are rounded up. */
export function wholeShares(shares: readonly number[]): number[] {
  const sum = shares.reduce((total, share) => total + share, 0);
  const exact = shares.map((share) => (sum > 0 ? (share / sum) * HUNDREDTHS : HUNDREDTHS / shares.length));
  const floors = exact.map(Math.floor);
  let missing = HUNDREDTHS - floors.reduce((total, floor) => total + floor, 0);
  const order = exact
    .map((value, place) => ({ place, rest: value - Math.floor(value) }))
    .sort((a, b) => b.rest - a.rest);
  for (const { place } of order) {
    if (missing <= 0) break;
    floors[place] = (floors[place] ?? 0) + 1;
    missing -= 1;
  }
  return floors.map((floor) => floor / 100);
}

export function sumOfShares(primaries: readonly TargetDraft[]): number {
  return Math.round(primaries.reduce((total, target) => total + target.share, 0) * 100) / 100;
}

function withShares(primaries: readonly TargetDraft[], shares: readonly number[]): TargetDraft[] {
  return primaries.map((target, place) => ({ ...target, share: shares[place] ?? 0 }));
}

/** What there is in the same proportion, to 100. */
export function scaled(primaries: readonly TargetDraft[]): TargetDraft[] {
  return withShares(primaries, wholeShares(primaries.map((target) => target.share)));
}

export function evened(primaries: readonly TargetDraft[]): TargetDraft[] {
  return withShares(primaries, wholeShares(primaries.map(() => 1)));
}

/** One more, with as much as the average of the others. */
export function withOneMore(primaries: readonly TargetDraft[]): TargetDraft[] {
  const average = primaries.length ? sumOfShares(primaries) / primaries.length : 100;
  return scaled([...primaries, newTarget(average)]);
}

export function without(primaries: readonly TargetDraft[], id: string): TargetDraft[] {
  return scaled(primaries.filter((target) => target.id !== id));
}

/** Of two, the other has the rest; of more, each has what it is given. */
export function withShare(primaries: readonly TargetDraft[], id: string, share: number): TargetDraft[] {
  const rest = Math.round((100 - share) * 100) / 100;
  return primaries.map((target) => {
    if (target.id === id) return { ...target, share };
    return primaries.length === 2 ? { ...target, share: Math.max(0, rest) } : target;
  });
}

// ---------------------------------------------------------------- what is wrong

export type Faults = Readonly<Record<string, string>>;

/** The API's fields with targets by their id instead of their place: they may be moved before they are corrected. */
export function placed(fields: Faults, draft: Draft): Faults {
  return Object.fromEntries(
    Object.entries(fields).map(([field, said]) => {
      const [group, place, ...inner] = field.split(".");
      const targets = group === "primaries" ? draft.primaries : group === "fallbacks" ? draft.fallbacks : [];
      const target = targets[Number(place)];
      return [target ? [target.id, ...inner].join(".") : field, said];
    }),
  );
}

/** Those within a field, by what follows its name. */
export function within(faults: Faults, field: string): Faults {
  return Object.fromEntries(
    Object.entries(faults).flatMap(([name, said]) =>
      name.startsWith(`${field}.`) ? [[name.slice(field.length + 1), said]] : [],
    ),
  );
}

export function anyOf(faults: Faults, ...fields: readonly string[]): boolean {
  return Object.keys(faults).some((name) => fields.some((field) => name === field || name.startsWith(`${field}.`)));
}
