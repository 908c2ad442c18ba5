import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";
import { useTranslation } from "react-i18next";

import { knownModelsQuery } from "@/api/catalog";
import type { Provider } from "@/api/providers";
import type { Secret } from "@/api/secrets";
import { firstChoice } from "@/shared/pickers/credential";
import { CredentialPicker } from "@/shared/pickers/credential-picker";
import { ModelPicker } from "@/shared/pickers/model-picker";
import { ComboBox } from "@/shared/ui/choice";

import type { Faults, TargetDraft } from "./form";
import styles from "./form.module.css";

/** What a target is chosen from. */
export type Choices = { providers: readonly Provider[]; secrets: readonly Secret[] };

/** Whose model, which one, and what the provider is shown. `faults`: by the API's names of a target's fields. */
export function TargetFields({
  target,
  onChange,
  choices,
  shared,
  faults,
}: {
  target: TargetDraft;
  onChange: (target: TargetDraft) => void;
  choices: Choices;
  shared: readonly { with: string; name: string }[];
  faults: Faults;
}) {
  const { t } = useTranslation();
  const [words, setWords] = useState("");
  const known = useQuery({ ...knownModelsQuery(target.provider, useDeferredValue(words)), enabled: !!target.provider });
  const provider = choices.providers.find(({ name }) => name === target.provider) ?? null;

  function chooseProvider(name: string | null) {
    const chosen = choices.providers.find((row) => row.name === name);
    if (!chosen || name === target.provider) return;
    setWords("");
    onChange({ ...target, provider: chosen.name, model: "", credential: firstChoice(chosen, choices.secrets) });
  }

  return (
    <div className={styles.target}>
      <ComboBox
        label={t("endpoints.provider")}
        options={choices.providers.map(({ name, title }) => ({ value: name, label: title }))}
        value={target.provider}
        onChange={chooseProvider}
        placeholder={t("endpoints.chooseProvider")}
        empty={t("endpoints.noProvider")}
        error={faults.provider}
      />
      <ModelPicker
        models={known.data?.models ?? []}
        total={known.data?.total ?? 0}
        value={target.model}
        onChange={(model) => onChange({ ...target, model })}
        onSearch={setWords}
        isPending={known.isLoading}
        isDisabled={!provider}
        {...(provider ? {} : { placeholder: t("endpoints.providerFirst") })}
        error={faults.model ?? faults.model_definition_id}
      />
      <CredentialPicker
        provider={provider}
        secrets={choices.secrets}
        shared={shared}
        value={target.credential}
        onChange={(credential) => onChange({ ...target, credential })}
        errors={faults}
      />
    </div>
  );
}
