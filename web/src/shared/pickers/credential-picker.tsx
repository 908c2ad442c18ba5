import { useTranslation } from "react-i18next";

import { type Option, Select } from "@/shared/ui/choice";

import {
  type CredentialChoice,
  type CredentialProvider,
  fitting,
  hasCredential,
  type KeptSecret,
  needsCredential,
  newSecret,
} from "./credential";
import { CredentialFields } from "./credential-fields";
import styles from "./pickers.module.css";

const NONE = "none";
const NEW = "new";
const KEPT = "kept:";
const SHARED = "shared:";

/**
 * What a provider is shown: a secret that is kept, or a new one whose fields open below. `shared`: new secrets of the same provider that
 * the form makes elsewhere. `errors`: by the API's names, `secret_id` and `secret.…`.
 */
export function CredentialPicker({
  provider,
  secrets,
  shared = [],
  value,
  onChange,
  errors = {},
}: {
  provider: CredentialProvider | null;
  secrets: readonly KeptSecret[];
  shared?: readonly { with: string; name: string }[];
  value: CredentialChoice;
  onChange: (value: CredentialChoice) => void;
  errors?: Readonly<Record<string, string>>;
}) {
  const { t } = useTranslation();
  const label = t("pickers.credential");
  if (!provider)
    return (
      <Select
        label={label}
        options={[]}
        value={null}
        onChange={() => undefined}
        isDisabled
        placeholder={t("pickers.providerFirst")}
        error={errors.secret_id}
      />
    );

  const kept = fitting(provider, secrets);
  const options: Option[] = [
    ...kept.map((secret) => ({
      value: `${KEPT}${secret.secret_id}`,
      label: secret.name,
      detail: <span className="mono">{Object.values(secret.masked_values).join(" · ")}</span>,
    })),
    ...shared.map((one) => ({ value: `${SHARED}${one.with}`, label: one.name, detail: t("pickers.sharedHint") })),
    ...(needsCredential(provider) ? [] : [{ value: NONE, label: t("pickers.none") }]),
    ...(hasCredential(provider) ? [{ value: NEW, label: t("pickers.newCredential") }] : []),
  ];
  // One that is gone, or was made for any provider: it is named, so that nobody wonders what is chosen.
  if (value.kind === "kept" && !kept.some((secret) => secret.secret_id === value.secretId)) {
    const other = secrets.find((secret) => secret.secret_id === value.secretId);
    options.unshift({ value: `${KEPT}${value.secretId}`, label: other?.name ?? t("pickers.credentialGone") });
  }

  function choose(chosen: string) {
    if (chosen === NONE) onChange({ kind: "none" });
    else if (chosen === NEW && provider)
      onChange({
        kind: "new",
        secret: newSecret(provider, [...secrets.map((secret) => secret.name), ...shared.map((one) => one.name)]),
      });
    else if (chosen.startsWith(KEPT)) onChange({ kind: "kept", secretId: chosen.slice(KEPT.length) });
    else if (chosen.startsWith(SHARED)) onChange({ kind: "shared", with: chosen.slice(SHARED.length) });
  }

  const inner = Object.fromEntries(
    Object.entries(errors).flatMap(([field, said]) =>
      field.startsWith("secret.") ? [[field.slice("secret.".length), said]] : [],
    ),
  );
  return (
    <>
      <Select
        label={label}
        options={options}
        value={idOf(value)}
        onChange={choose}
        placeholder={t("pickers.chooseCredential")}
        error={errors.secret_id ?? errors.secret}
      />
      {value.kind === "new" && (
        <div className={styles.inline}>
          <CredentialFields
            provider={provider}
            value={value.secret}
            onChange={(secret) => onChange({ kind: "new", secret })}
            errors={inner}
          />
        </div>
      )}
    </>
  );
}

function idOf(value: CredentialChoice): string {
  if (value.kind === "kept") return `${KEPT}${value.secretId}`;
  return value.kind === "shared" ? `${SHARED}${value.with}` : value.kind;
}
