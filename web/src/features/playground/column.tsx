import { CornerDownRight, RotateCcw, SlidersHorizontal, Square, X } from "lucide-react";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";

import type { Endpoint } from "@/api/endpoints";
import { Button, IconButton } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { ComboBox } from "@/shared/ui/choice";

import { Account } from "./account";
import { AnswerView } from "./answer-view";
import { begun, type Choice } from "./answer";
import styles from "./column.module.css";
import type { Dialect } from "./dialect";
import { type Column, type Parameters, setOnes } from "./draft";
import { ParametersForm } from "./parameters";
import type { Flaw } from "./request";
import { type Run, UNDER_WAY } from "./run";

/** One endpoint beside others: what is asked of it besides the conversation, and what it answers. */
export function ColumnView({
  column,
  no,
  endpoints,
  dialect,
  hasTools,
  run,
  flaw,
  onChange,
  onRemove,
  onStop,
  onAgain,
  onContinue,
}: {
  column: Column;
  no: number;
  endpoints: readonly Endpoint[];
  dialect: Dialect;
  hasTools: boolean;
  run: Run | undefined;
  /** Why it was not sent, when that was tried. */
  flaw: Flaw | null;
  onChange: (changes: Partial<Column>) => void;
  onRemove?: () => void;
  onStop: () => void;
  onAgain: () => void;
  onContinue: (answer: Choice) => void;
}) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const form = useId();
  const { endpoint, parameters } = column;
  const set = setOnes(parameters);
  const name = endpoint ?? t("playground.column", { no });
  const underWay = UNDER_WAY(run);
  const [first] = run?.answer.choices ?? [];
  const known = endpoints.some((one) => one.name === endpoint);
  // It may be gone, or an alias: then it is named still, and sent.
  const options = [
    ...(endpoint !== null && !known ? [{ value: endpoint, label: endpoint }] : []),
    ...endpoints.map((one) => ({ value: one.name, label: one.name, detail: modelsOf(one) })),
  ];
  return (
    <section className={styles.column} aria-label={t("playground.columnOf", { no, name })}>
      <header className={styles.head}>
        <div className={styles.endpoint}>
          <ComboBox
            label={t("playground.endpointOf", { no })}
            hideLabel
            placeholder={t("playground.chooseEndpoint")}
            empty={t("playground.noSuchEndpoint")}
            options={options}
            value={endpoint}
            onChange={(chosen) => {
              if (chosen !== null) onChange({ endpoint: chosen });
            }}
          />
        </div>
        <Button
          look={open ? "secondary" : "ghost"}
          icon={<SlidersHorizontal aria-hidden="true" />}
          aria-label={t("playground.parametersOf", { name, count: set.length })}
          aria-expanded={open}
          aria-controls={form}
          onPress={() => setOpen(!open)}
        >
          {set.length > 0 && <span className="numbers">{set.length}</span>}
        </Button>
        {onRemove && (
          <IconButton
            size="m"
            label={t("playground.removeColumn", { name })}
            icon={<X aria-hidden="true" />}
            onPress={onRemove}
          />
        )}
      </header>
      <div id={form} className={styles.parameters} hidden={!open}>
        {open && (
          <ParametersForm
            parameters={parameters}
            dialect={dialect}
            hasTools={hasTools}
            onChange={(changes) => onChange({ parameters: { ...parameters, ...changes } })}
          />
        )}
      </div>
      {!open && set.length > 0 && <p className={styles.set}>{set.map((one) => saidOf(one, parameters)).join(" · ")}</p>}
      <div className={styles.body}>
        {flaw ? <Callout tone="warn">{t(`playground.flaws.${flaw}`)}</Callout> : <AnswerView run={run} name={name} />}
      </div>
      {run && !flaw && (
        <>
          <div className={styles.doing}>
            {underWay ? (
              <Button
                size="s"
                icon={<Square aria-hidden="true" />}
                aria-label={t("playground.stopOne", { name })}
                onPress={onStop}
              >
                {t("playground.stop")}
              </Button>
            ) : (
              <>
                {first && begun(run.answer) && (
                  <Button
                    size="s"
                    icon={<CornerDownRight aria-hidden="true" />}
                    aria-label={t("playground.continueWith", { name })}
                    onPress={() => onContinue(first)}
                  >
                    {t("playground.continue")}
                  </Button>
                )}
                <Button
                  size="s"
                  look="ghost"
                  icon={<RotateCcw aria-hidden="true" />}
                  aria-label={t("playground.againWith", { name })}
                  onPress={onAgain}
                >
                  {t("playground.again")}
                </Button>
              </>
            )}
          </div>
          <Account run={run} />
        </>
      )}
    </section>
  );
}

function modelsOf({ primaries }: Endpoint): string {
  return primaries.map(({ provider, model }) => `${provider} · ${model}`).join(", ");
}

const LONG = 24; // characters of a value that are shown

/** A parameter by the name that requests have for it. */
function saidOf(name: keyof Parameters, parameters: Parameters): string {
  const value = String(parameters[name]).replace(/\s+/g, " ").trim();
  return `${NAMES[name]} ${value.length > LONG ? `${value.slice(0, LONG)}…` : value}`;
}

const NAMES: Record<keyof Parameters, string> = {
  temperature: "temperature",
  topP: "top_p",
  maxTokens: "max_tokens",
  seed: "seed",
  stop: "stop",
  format: "response_format",
  schema: "schema",
  effort: "reasoning_effort",
  toolChoice: "tool_choice",
  more: "",
  stream: "stream",
};
