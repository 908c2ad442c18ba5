/** A credential as a form has it: one that is kept already, a new one with the provider's own fields, or none. */

export type CredentialField = {
  name: string;
  label: string;
  secret: boolean;
  kind: "text" | "url" | "boolean";
  required: boolean;
  default: string | null;
  placeholder: string;
  help: string;
};

/** What is asked of a provider: its row of the API fits. */
export type CredentialProvider = {
  name: string;
  title: string;
  auth_modes: readonly { mode: string; title: string; fields: readonly CredentialField[] }[];
  keys_url: string | null;
};

/** A secret that there is. */
export type KeptSecret = {
  secret_id: string;
  name: string;
  provider: string | null;
  masked_values: Readonly<Record<string, string>>;
  updated_at: string;
};

/** `values`: by field, of every mode that was filled in; what the chosen mode has not is not sent. */
export type SecretDraft = { name: string; mode: string; values: Readonly<Record<string, string>> };

/** `shared`: the new secret that another target of the same form makes, by that target's id. */
export type CredentialChoice =
  | { kind: "none" }
  | { kind: "kept"; secretId: string }
  | { kind: "new"; secret: SecretDraft }
  | { kind: "shared"; with: string };

export function fieldsOf(provider: CredentialProvider, mode: string): readonly CredentialField[] {
  return (provider.auth_modes.find((row) => row.mode === mode) ?? provider.auth_modes[0])?.fields ?? [];
}

/** Where the API has a field, and where it says what is wrong with it. */
export function placeOf(field: CredentialField): string {
  return `${field.secret ? "values" : "auth_config"}.${field.name}`;
}

/** Whether it can be called without any. */
export function needsCredential(provider: CredentialProvider): boolean {
  return provider.auth_modes.every((mode) => mode.fields.some((field) => field.required));
}

/** Whether there is anything to say in one. */
export function hasCredential(provider: CredentialProvider): boolean {
  return provider.auth_modes.some((mode) => mode.fields.length > 0);
}

/** Those that fit the provider, the one that was touched last first. */
export function fitting(provider: CredentialProvider, secrets: readonly KeptSecret[]): KeptSecret[] {
  return secrets
    .filter((secret) => secret.provider === provider.name)
    .sort((one, other) => other.updated_at.localeCompare(one.updated_at));
}

/** `openai`, or `openai-2` where that is taken. */
export function newSecret(provider: CredentialProvider, taken: readonly string[]): SecretDraft {
  let name = provider.name;
  for (let number = 2; taken.includes(name); number += 1) name = `${provider.name}-${number}`;
  return { name, mode: provider.auth_modes[0]?.mode ?? "", values: {} };
}

/** What most people would choose first. */
export function firstChoice(provider: CredentialProvider, secrets: readonly KeptSecret[]): CredentialChoice {
  const kept = fitting(provider, secrets)[0];
  if (kept && hasCredential(provider)) return { kind: "kept", secretId: kept.secret_id };
  if (!needsCredential(provider)) return { kind: "none" };
  return {
    kind: "new",
    secret: newSecret(
      provider,
      secrets.map((secret) => secret.name),
    ),
  };
}

/** In the API's words. */
export function secretDocument(
  draft: SecretDraft,
  provider: CredentialProvider,
): { name: string; values: Record<string, string>; auth_config: Record<string, string> } {
  const said = fieldsOf(provider, draft.mode).flatMap((field) => {
    const value = draft.values[field.name]?.trim() ?? "";
    return value ? [{ field, value }] : [];
  });
  const of = (secret: boolean) =>
    Object.fromEntries(
      said.filter(({ field }) => field.secret === secret).map(({ field, value }) => [field.name, value]),
    );
  const mode: Record<string, string> = provider.auth_modes.length > 1 ? { auth_mode: draft.mode } : {};
  return { name: draft.name.trim(), values: of(true), auth_config: { ...mode, ...of(false) } };
}
