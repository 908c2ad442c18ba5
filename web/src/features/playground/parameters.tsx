import { useTranslation } from "react-i18next";

import { Select } from "@/shared/ui/choice";
import { TextArea } from "@/shared/ui/field";
import { NumberField } from "@/shared/ui/number-field";
import { Switch } from "@/shared/ui/switch";

import { object } from "./answer";
import type { Dialect } from "./dialect";
import type { Parameters } from "./draft";
import styles from "./parameters.module.css";

const FORMATS = ["", "json_object", "json_schema"] as const;
const EFFORTS = ["", "none", "minimal", "low", "medium", "high", "xhigh"] as const;
const CHOICES = ["", "auto", "required", "none"] as const;
const SCHEMA = '{"type": "object"}';
const MORE = '{"top_k": 40}';
const UNSAID = "default"; // what a list calls ""

/** What a column wants. What is not set is not sent: the model's own default holds then. */
export function ParametersForm({
  parameters,
  dialect,
  hasTools,
  onChange,
}: {
  parameters: Parameters;
  dialect: Dialect;
  hasTools: boolean;
  onChange: (changes: Partial<Parameters>) => void;
}) {
  const { t } = useTranslation();
  const speaks = (name: keyof Parameters) => dialect.speaks.has(name);
  const number = (name: "temperature" | "topP" | "maxTokens" | "seed", step: number, most?: number) =>
    speaks(name) && (
      <NumberField
        label={t(`playground.parameter.${name}`)}
        placeholder={t("playground.unset")}
        minValue={name === "seed" ? Number.MIN_SAFE_INTEGER : name === "maxTokens" ? 1 : 0}
        {...(most !== undefined && { maxValue: most })}
        step={step}
        formatOptions={{ useGrouping: false, maximumFractionDigits: step < 1 ? 3 : 0 }}
        value={parameters[name] ?? NaN}
        onChange={(value) => onChange({ [name]: Number.isNaN(value) ? null : value })}
      />
    );
  const choice = <T extends string>(
    name: "format" | "effort" | "toolChoice",
    values: readonly T[],
    value: T,
    put: (value: T) => void,
  ) =>
    speaks(name) && (
      <Select
        label={t(`playground.parameter.${name}`)}
        value={value || UNSAID}
        onChange={(chosen) => put(values.find((one) => one === chosen) ?? ("" as T))}
        options={values.map((one) => ({ value: one || UNSAID, label: one || t("playground.unset") }))}
      />
    );
  return (
    <div className={styles.form}>
      <div className={styles.grid}>
        {number("temperature", 0.001, 2)}
        {number("topP", 0.001, 1)}
        {number("maxTokens", 1)}
        {number("seed", 1)}
        {choice("effort", EFFORTS, parameters.effort, (effort) => onChange({ effort }))}
        {choice("format", FORMATS, parameters.format, (format) => onChange({ format }))}
        {hasTools && choice("toolChoice", CHOICES, parameters.toolChoice, (toolChoice) => onChange({ toolChoice }))}
      </div>
      {parameters.format === "json_schema" && speaks("schema") && (
        <TextArea
          label={t("playground.parameter.schema")}
          mono
          rows={5}
          placeholder={SCHEMA}
          error={parameters.schema && !object(parameters.schema) ? t("playground.noObject") : undefined}
          value={parameters.schema}
          onChange={(schema) => onChange({ schema })}
        />
      )}
      <TextArea
        label={t("playground.parameter.stop")}
        mono
        rows={1}
        placeholder={t("playground.stopHint")}
        value={parameters.stop}
        onChange={(stop) => onChange({ stop })}
      />
      <TextArea
        label={t("playground.parameter.more")}
        mono
        rows={1}
        placeholder={MORE}
        error={parameters.more.trim() && !object(parameters.more) ? t("playground.noObject") : undefined}
        value={parameters.more}
        onChange={(more) => onChange({ more })}
      />
      <Switch
        label={t("playground.parameter.stream")}
        isSelected={parameters.stream}
        onChange={(stream) => onChange({ stream })}
      />
    </div>
  );
}
