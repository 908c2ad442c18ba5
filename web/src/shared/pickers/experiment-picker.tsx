import { useTranslation } from "react-i18next";

import { ComboBox } from "@/shared/ui/choice";

/**
 * An experiment by its name. A name that there is not yet is one to be made; `""` is the default that `placeholder` tells. Whoever shows it
 * finds the experiments: `onSearch` says what was typed.
 */
export function ExperimentPicker({
  experiments,
  value,
  onChange,
  onSearch,
  placeholder,
  description,
  isDisabled = false,
  error,
}: {
  experiments: readonly { experiment_id: string; name: string }[];
  value: string;
  onChange: (name: string) => void;
  onSearch: (words: string) => void;
  placeholder?: string;
  description?: string;
  isDisabled?: boolean;
  error?: string | undefined;
}) {
  const { t } = useTranslation();
  const there = experiments.some((experiment) => experiment.name === value);
  return (
    <ComboBox
      label={t("pickers.experiment")}
      options={[
        ...(value.trim() && !there ? [{ value, label: value, detail: t("pickers.newExperiment") }] : []),
        ...experiments.map(({ name }) => ({ value: name, label: name })),
      ]}
      value={value || null}
      inputValue={value}
      onInputChange={(text) => {
        onChange(text);
        onSearch(text);
      }}
      onChange={(name) => {
        if (name !== null) onChange(name);
      }}
      onOpenChange={(isOpen, trigger) => {
        if (isOpen && trigger !== "input") onSearch("");
      }}
      allowsCustomValue
      isDisabled={isDisabled}
      placeholder={placeholder ?? t("pickers.searchExperiments")}
      empty={t("pickers.noExperiments")}
      description={description}
      error={error}
    />
  );
}
