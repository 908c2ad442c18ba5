import { ExternalLink } from "lucide-react";
import { useTranslation } from "react-i18next";

import { Select } from "@/shared/ui/choice";
import { TextField } from "@/shared/ui/field";
import { Checkbox } from "@/shared/ui/switch";

import { type CredentialField, type CredentialProvider, fieldsOf, placeOf, type SecretDraft } from "./credential";
import styles from "./pickers.module.css";

/** A new secret: its name, how the provider is shown who we are, and the fields of that. `errors`: by the API's names of the fields. */
export function CredentialFields({
  provider,
  value,
  onChange,
  errors = {},
  named = true,
  autoFocus = false,
}: {
  provider: CredentialProvider;
  value: SecretDraft;
  onChange: (value: SecretDraft) => void;
  errors?: Readonly<Record<string, string>>;
  /** Without: for new values of one that has its name already. */
  named?: boolean;
  autoFocus?: boolean;
}) {
  const { t } = useTranslation();
  const set = (name: string, said: string) => onChange({ ...value, values: { ...value.values, [name]: said } });
  return (
    <div className={styles.fields}>
      {provider.auth_modes.length > 1 && (
        <Select
          label={t("pickers.authMode")}
          value={value.mode}
          options={provider.auth_modes.map(({ mode, title }) => ({ value: mode, label: title }))}
          onChange={(mode) => onChange({ ...value, mode })}
          error={errors["auth_config.auth_mode"]}
        />
      )}
      {fieldsOf(provider, value.mode).map((field, index) => (
        <Field
          key={field.name}
          field={field}
          value={value.values[field.name] ?? ""}
          onChange={(said) => set(field.name, said)}
          error={errors[placeOf(field)]}
          autoFocus={autoFocus && index === 0}
        />
      ))}
      {named && (
        <TextField
          label={t("pickers.credentialName")}
          description={t("pickers.credentialNameHint")}
          value={value.name}
          onChange={(name) => onChange({ ...value, name })}
          error={errors.name}
          autoComplete="off"
        />
      )}
      {provider.keys_url !== null && (
        <p className={styles.aside}>
          <a href={provider.keys_url} target="_blank" rel="noreferrer">
            {t("pickers.getKey", { provider: provider.title })} <ExternalLink aria-hidden="true" />
          </a>
        </p>
      )}
    </div>
  );
}

function Field({
  field,
  value,
  onChange,
  error,
  autoFocus,
}: {
  field: CredentialField;
  value: string;
  onChange: (value: string) => void;
  error: string | undefined;
  autoFocus: boolean;
}) {
  const { t } = useTranslation();
  if (field.kind === "boolean")
    return (
      <div className={styles.check}>
        <Checkbox label={field.label} isSelected={value === "true"} onChange={(on) => onChange(on ? "true" : "")} />
        {(error ?? field.help) && <span className={error ? styles.wrong : styles.help}>{error ?? field.help}</span>}
      </div>
    );
  return (
    <TextField
      label={field.required ? field.label : t("pickers.optional", { label: field.label })}
      type={field.secret ? "password" : field.kind === "url" ? "url" : "text"}
      autoComplete={field.secret ? "new-password" : "off"}
      spellCheck="false"
      isRequired={field.required}
      placeholder={field.placeholder}
      {...(field.help ? { description: field.help } : {})}
      value={value}
      onChange={onChange}
      error={error}
      autoFocus={autoFocus}
    />
  );
}
