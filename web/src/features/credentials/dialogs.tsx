import { useMutation } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { ApiProblem, atLarge } from "@/api/client";
import type { Provider } from "@/api/providers";
import { createSecret, rotateSecret, type Secret } from "@/api/secrets";
import { fieldsOf, newSecret, placeOf, secretDocument, type SecretDraft } from "@/shared/pickers/credential";
import { CredentialFields } from "@/shared/pickers/credential-fields";
import { Button } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Dialog } from "@/shared/ui/dialog";
import { ComboBox } from "@/shared/ui/choice";
import { done } from "@/shared/ui/toast";

import styles from "./page.module.css";

const FORM = "credential-form";

export function NewCredential({
  providers,
  taken,
  onClose,
}: {
  providers: readonly Provider[];
  taken: readonly string[];
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const [name, setName] = useState<string | null>(null);
  const [draft, setDraft] = useState<SecretDraft | null>(null);
  const provider = providers.find((one) => one.name === name);
  const saving = useMutation({
    mutationFn: async () => {
      if (!provider || !draft) return;
      await createSecret({ ...secretDocument(draft, provider), provider: provider.name });
    },
    onSuccess: () => {
      done(t("credentials.created", { name: draft?.name ?? "" }));
      onClose();
    },
  });
  function choose(chosen: string | null) {
    const row = providers.find((one) => one.name === chosen);
    setName(chosen);
    setDraft(row ? newSecret(row, taken) : null);
    saving.reset();
  }
  return (
    <Frame
      title={t("credentials.createTitle")}
      action={t("credentials.create")}
      saving={saving}
      shown={["name", ...placesOf(provider, draft)]}
      isDisabled={!provider}
      onClose={onClose}
    >
      <ComboBox
        label={t("credentials.provider")}
        placeholder={t("credentials.choose")}
        empty={t("credentials.noProvider")}
        options={providers.filter((one) => !one.in_process).map((one) => ({ value: one.name, label: one.title }))}
        value={name}
        onChange={choose}
        autoFocus
      />
      {provider && draft && (
        <CredentialFields provider={provider} value={draft} onChange={setDraft} errors={faultsOf(saving.error)} />
      )}
    </Frame>
  );
}

/** New values in the place of the old: whatever uses the secret calls with them within a second. */
export function Rotate({
  secret,
  provider,
  onClose,
}: {
  secret: Secret;
  provider: Provider | undefined;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const [draft, setDraft] = useState<SecretDraft | null>(() =>
    provider
      ? {
          ...newSecret(provider, []),
          ...(secret.auth_mode === null ? {} : { mode: secret.auth_mode }),
          name: secret.name,
          values: secret.auth_config,
        }
      : null,
  );
  const saving = useMutation({
    mutationFn: async () => {
      if (!provider || !draft) return;
      const { values, auth_config } = secretDocument(draft, provider);
      await rotateSecret(secret.secret_id, { values, auth_config });
    },
    onSuccess: () => {
      done(t("credentials.rotated", { name: secret.name }));
      onClose();
    },
  });
  return (
    <Frame
      title={t("credentials.rotateTitle", { name: secret.name })}
      action={t("credentials.rotate")}
      saving={saving}
      shown={placesOf(provider, draft)}
      isDisabled={!draft}
      onClose={onClose}
    >
      <Callout tone="info">
        {t("credentials.rotateText", { count: secret.endpoints.length })} {t("credentials.rotateAll")}
      </Callout>
      {provider && draft ? (
        <CredentialFields
          provider={provider}
          value={draft}
          onChange={setDraft}
          errors={faultsOf(saving.error)}
          named={false}
          autoFocus
        />
      ) : (
        <Callout tone="warn">{t("credentials.unknownProvider")}</Callout>
      )}
    </Frame>
  );
}

function Frame({
  title,
  action,
  saving,
  shown,
  isDisabled,
  children,
  onClose,
}: {
  title: string;
  action: string;
  /** The API's names of the fields that are there. */
  shown: readonly string[];
  saving: { mutate: () => void; isPending: boolean; error: Error | null };
  isDisabled: boolean;
  children: React.ReactNode;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const problem = atLarge(saving.error, shown);
  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    saving.mutate();
  }
  return (
    <Dialog
      title={title}
      isOpen
      isDismissable={false}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button type="submit" form={FORM} look="primary" isPending={saving.isPending} isDisabled={isDisabled}>
            {action}
          </Button>
        </>
      }
    >
      <form id={FORM} className={styles.form} onSubmit={submit} autoComplete="off" noValidate>
        {problem && <Callout tone="bad">{problem.message || t("problems.network")}</Callout>}
        {children}
      </form>
    </Dialog>
  );
}

function placesOf(provider: Provider | undefined, draft: SecretDraft | null): string[] {
  if (!provider || !draft) return [];
  const mode = provider.auth_modes.length > 1 ? ["auth_config.auth_mode"] : [];
  return [...mode, ...fieldsOf(provider, draft.mode).map(placeOf)];
}

function faultsOf(error: Error | null): Readonly<Record<string, string>> {
  return error instanceof ApiProblem ? error.fields : {};
}
