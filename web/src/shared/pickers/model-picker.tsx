import { useTranslation } from "react-i18next";

import { money, short } from "@/shared/format/numbers";
import { Badge } from "@/shared/ui/badge";
import { ComboBox } from "@/shared/ui/choice";
import { Skeleton } from "@/shared/ui/page";

import styles from "./pickers.module.css";

/** What is known of a model: its row of the API fits. */
export type ModelToPick = {
  provider: string;
  model: string;
  title: string;
  context_window: number | null;
  max_output: number | null;
  input: readonly string[];
  output: readonly string[];
  tools: boolean | null;
  reasoning: boolean | null;
  status: string | null;
  price: { input: string | null; output: string | null } | null;
};

/**
 * A model by its name; one that nobody knows can be called too, so what is typed counts. Whoever shows it finds the models: `onSearch` says
 * what was typed, `""` when the list is opened.
 */
export function ModelPicker({
  models,
  total,
  value,
  onChange,
  onSearch,
  isPending = false,
  isDisabled = false,
  placeholder,
  error,
}: {
  models: readonly ModelToPick[];
  /** How many were found, of which `models` are the first. */
  total: number;
  value: string;
  onChange: (model: string, known: ModelToPick | null) => void;
  onSearch: (words: string) => void;
  /** What is known is on its way. */
  isPending?: boolean;
  isDisabled?: boolean;
  placeholder?: string;
  error?: string | undefined;
}) {
  const { t } = useTranslation();
  const known = models.find((row) => row.model === value) ?? null;
  const take = (model: string) => onChange(model, models.find((row) => row.model === model) ?? null);
  const rest = total - models.length;
  return (
    <ComboBox
      label={t("pickers.model")}
      options={[
        ...models.map((row) => ({ value: row.model, label: row.model, detail: <ModelFacts model={row} titled /> })),
        ...(rest > 0 ? [{ value: "", label: t("pickers.moreModels", { count: rest }), isDisabled: true }] : []),
      ]}
      value={known?.model ?? null}
      inputValue={value}
      onInputChange={(text) => {
        take(text);
        onSearch(text);
      }}
      onChange={(model) => {
        if (model) take(model);
      }}
      onOpenChange={(isOpen, trigger) => {
        if (isOpen && trigger !== "input") onSearch("");
      }}
      allowsCustomValue
      isDisabled={isDisabled}
      placeholder={placeholder ?? t("pickers.searchModels")}
      empty={value ? t("pickers.unknownModel", { model: value }) : t("pickers.noModels")}
      description={
        known ? <ModelFacts model={known} /> : isPending && value && <Skeleton width="60%" height="1.45em" />
      }
      error={error}
    />
  );
}

/** Its size, what it takes and gives, and its price. */
export function ModelFacts({ model, titled = false }: { model: ModelToPick; titled?: boolean }) {
  const { t } = useTranslation();
  const { price } = model;
  const modalities =
    model.input.length && model.output.length
      ? t("pickers.modalities", { input: model.input.join(", "), output: model.output.join(", ") })
      : null;
  return (
    <span className={styles.facts}>
      {titled && model.title !== model.model && <span>{model.title}</span>}
      {model.status !== null && <Badge tone="warn">{model.status}</Badge>}
      {model.context_window !== null && <span>{t("pickers.context", { tokens: short(model.context_window) })}</span>}
      {modalities !== null && <span>{modalities}</span>}
      <span className="numbers">
        {price ? t("pickers.price", { input: money(price.input), output: money(price.output) }) : t("pickers.noPrice")}
      </span>
    </span>
  );
}
