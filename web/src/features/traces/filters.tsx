import { useQueries, useQuery } from "@tanstack/react-query";
import { ListFilter, X } from "lucide-react";
import { type SubmitEvent, useDeferredValue, useState } from "react";
import { useTranslation } from "react-i18next";

import { experimentQuery, experimentsQuery } from "@/api/experiments";
import { SUGGESTED, suggestionsQuery } from "@/api/traces";
import { duration } from "@/shared/format/numbers";
import { when } from "@/shared/format/time";
import { Button, IconButton } from "@/shared/ui/button";
import { ComboBox, Select } from "@/shared/ui/choice";
import { TextField } from "@/shared/ui/field";
import { NumberField } from "@/shared/ui/number-field";

import { Drop } from "./drop";
import styles from "./list.module.css";
import {
  EVERYTHING,
  type Measure,
  type Noun,
  NOUNS,
  NUMBERS,
  STATUSES,
  type View,
  withoutValue,
  withValue,
} from "./search";

type Show = (view: View) => void;

/** What is filtered by, each with a way to take it off. */
export function Chips({ view, onShow }: { view: View; onShow: Show }) {
  const { t } = useTranslation();
  const ids = view.values.experiment_id;
  const experiments = useQueries({ queries: ids.map(experimentQuery) });
  const tell = (noun: Noun, value: string) => {
    if (noun === "status") return t(`traces.status.${value as (typeof STATUSES)[number]}`);
    if (noun === "experiment_id") return experiments[ids.indexOf(value)]?.data?.name ?? value;
    return value;
  };
  const chips = [
    ...NOUNS.flatMap((noun) =>
      view.values[noun].map((value) => ({
        id: `${noun} ${value}`,
        name: t(`traces.filters.${noun}`),
        value: tell(noun, value),
        rest: withoutValue(view, noun, value),
      })),
    ),
    ...NUMBERS.flatMap((measure) => {
      const value = view[measure];
      if (value === null) return [];
      const said = measure === "since_ms" || measure === "until_ms" ? when(value) : duration(value);
      return [{ id: measure, name: t(`traces.filters.${measure}`), value: said, rest: { ...view, [measure]: null } }];
    }),
  ];
  if (!chips.length) return null;
  return (
    <ul className={styles.chips} aria-label={t("traces.filtersInForce")}>
      {chips.map((chip) => (
        <li key={chip.id} className={styles.chip}>
          <span title={chip.value}>
            <b>{chip.name}</b>
            {chip.value}
          </span>
          <IconButton
            label={t("traces.removeFilter", { name: chip.name, value: chip.value })}
            icon={<X />}
            onPress={() => onShow(chip.rest)}
          />
        </li>
      ))}
      <li>
        <Button look="ghost" size="s" onPress={() => onShow({ ...EVERYTHING, q: view.q, live: view.live })}>
          {t("traces.clearFilters")}
        </Button>
      </li>
    </ul>
  );
}

export function AddFilter({ view, onShow }: { view: View; onShow: Show }) {
  const { t } = useTranslation();
  return (
    <Drop label={t("traces.addFilter")} trigger={<Button icon={<ListFilter />}>{t("traces.addFilter")}</Button>}>
      {(close) => (
        <FilterForm
          view={view}
          onShow={(next) => {
            onShow(next);
            close();
          }}
        />
      )}
    </Drop>
  );
}

type Field = Noun | Measure;
const FIELDS: readonly Field[] = [...NOUNS, ...NUMBERS];

function FilterForm({ view, onShow }: { view: View; onShow: Show }) {
  const { t } = useTranslation();
  const [field, setField] = useState<Field>("endpoint");
  const [text, setText] = useState("");
  const [amount, setAmount] = useState<number>(NaN);
  // Stays while something is entered: a button that moved under the press would not be pressed.
  const [tried, setTried] = useState(false);
  const next = viewWith(view, field, text, amount);
  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    setTried(true);
    if (next) onShow(next);
  }
  return (
    <form className={styles.dropped} style={{ padding: 0 }} onSubmit={submit}>
      <Select
        label={t("traces.filterBy")}
        value={field}
        options={FIELDS.map((value) => ({ value, label: t(`traces.filters.${value}`) }))}
        onChange={(value) => {
          setField(value);
          setText("");
          setAmount(NaN);
          setTried(false);
        }}
      />
      <Value
        key={field}
        field={field}
        text={text}
        amount={amount}
        error={tried ? t(field === "tag" ? "traces.tagHint" : "traces.noFilter") : undefined}
        onText={setText}
        onAmount={setAmount}
      />
      <div className={styles.foot}>
        {/* Never disabled: a number is taken over when its field is left, which is with the press itself. */}
        <Button type="submit" look="primary">
          {t("traces.applyFilter")}
        </Button>
      </div>
    </form>
  );
}

/** null: what was entered is nothing to filter by yet. */
export function viewWith(view: View, field: Field, text: string, amount: number): View | null {
  if (field === "since_ms" || field === "until_ms") {
    const at = Date.parse(text);
    return Number.isNaN(at) || at < 0 ? null : { ...view, [field]: at };
  }
  if (field === "min_ms" || field === "max_ms")
    return Number.isNaN(amount) ? null : { ...view, [field]: Math.round(amount) };
  const value = text.trim();
  if (!value || (field === "tag" && value.indexOf(":") < 1)) return null;
  return withValue(view, field, value);
}

function Value({
  field,
  text,
  amount,
  error,
  onText,
  onAmount,
}: {
  field: Field;
  text: string;
  amount: number;
  error: string | undefined;
  onText: (text: string) => void;
  onAmount: (amount: number) => void;
}) {
  const { t } = useTranslation();
  const label = t(`traces.filters.${field}`);
  const suggested = SUGGESTED.find((noun) => noun === field);
  if (suggested !== undefined)
    return <Suggested noun={suggested} label={label} text={text} error={error} onText={onText} />;
  if (field === "experiment_id") return <Experiment label={label} error={error} onText={onText} />;
  if (field === "status")
    return (
      <Select
        label={label}
        value={STATUSES.find((status) => status === text) ?? null}
        placeholder={t("traces.chooseStatus")}
        error={error}
        options={STATUSES.map((value) => ({
          value,
          label: t(`traces.status.${value}`),
          detail: t(`traces.statusHints.${value}`),
        }))}
        onChange={onText}
      />
    );
  if (field === "min_ms" || field === "max_ms")
    return (
      <NumberField
        label={label}
        unit="ms"
        minValue={0}
        maxValue={10 ** 12}
        value={amount}
        error={error}
        onChange={onAmount}
      />
    );
  if (field === "since_ms" || field === "until_ms")
    return <TextField type="datetime-local" label={label} value={text} error={error} onChange={onText} />;
  return (
    <TextField
      label={label}
      value={text}
      error={error}
      onChange={onText}
      {...(field === "tag" && { description: t("traces.tagHint"), placeholder: "reviewed:yes" })}
    />
  );
}

/** What calls of late have had; another value may be typed. */
function Suggested({
  noun,
  label,
  text,
  error,
  onText,
}: {
  noun: (typeof SUGGESTED)[number];
  label: string;
  text: string;
  error: string | undefined;
  onText: (text: string) => void;
}) {
  const { t } = useTranslation();
  const { data: suggestions = [] } = useQuery(suggestionsQuery(noun));
  const wanted = text.trim().toLowerCase();
  return (
    <ComboBox
      label={label}
      value={suggestions.includes(text) ? text : null}
      inputValue={text}
      options={suggestions
        .filter((value) => suggestions.includes(text) || value.toLowerCase().includes(wanted))
        .map((value) => ({ value, label: value }))}
      empty={t("traces.noSuggestion")}
      error={error}
      allowsCustomValue
      onInputChange={onText}
      onChange={(value) => {
        if (value !== null) onText(value);
      }}
    />
  );
}

/** One of any number, found by the server; `onText` is told its id, and "" while there is none. */
function Experiment({
  label,
  error,
  onText,
}: {
  label: string;
  error: string | undefined;
  onText: (text: string) => void;
}) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState("");
  const [chosen, setChosen] = useState<{ experiment_id: string; name: string } | null>(null);
  const { data } = useQuery(experimentsQuery({ q: useDeferredValue(chosen ? "" : typed.trim()) }));
  const choose = (one: typeof chosen) => {
    setChosen(one);
    onText(one?.experiment_id ?? "");
  };
  return (
    <ComboBox
      label={label}
      value={chosen?.experiment_id ?? null}
      inputValue={typed}
      placeholder={t("traces.chooseExperiment")}
      options={(data?.experiments ?? []).map((one) => ({ value: one.experiment_id, label: one.name }))}
      empty={t("traces.noExperiment")}
      error={error}
      onInputChange={(text) => {
        setTyped(text);
        if (chosen && text !== chosen.name) choose(null);
      }}
      onChange={(id) => {
        const one = data?.experiments.find(({ experiment_id }) => experiment_id === id);
        if (!one) return;
        setTyped(one.name);
        choose(one);
      }}
    />
  );
}
