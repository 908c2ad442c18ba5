import { useTranslation } from "react-i18next";

import { Disclosure } from "@/shared/chat/fold";
import { PartView } from "@/shared/chat/part";
import { count } from "@/shared/format/numbers";
import { Badge } from "@/shared/ui/badge";
import { Callout } from "@/shared/ui/callout";
import { Skeleton } from "@/shared/ui/page";

import { begun, type Choice } from "./answer";
import styles from "./column.module.css";
import { type Problem, type Run, UNDER_WAY } from "./run";

const NONE: ReadonlyMap<string, string> = new Map();
const EXPECTED = new Set(["stop", "end_turn", "tool_calls", "tool_use", "stop_sequence"]);

/** An answer as it comes. What went wrong stands where it would. */
export function AnswerView({ run, name }: { run: Run | undefined; name: string }) {
  const { t } = useTranslation();
  if (run === undefined) return <p className="faint">{t("playground.nothingSent")}</p>;
  const { answer, problem, state } = run;
  const grows = UNDER_WAY(run);
  return (
    <div className={styles.answer} role="group" aria-label={t("playground.answerOf", { name })} aria-busy={grows}>
      {grows && !begun(answer) && (
        <div className={styles.waiting}>
          <Skeleton width="92%" />
          <Skeleton width="64%" />
        </div>
      )}
      {answer.choices.map((choice, index) => (
        <ChoiceView
          key={index}
          choice={choice}
          grows={grows && choice.finish === null}
          {...(answer.choices.length > 1 && { no: index + 1 })}
        />
      ))}
      {problem && <ProblemView problem={problem} />}
      {state === "stopped" && <p className="faint">{t("playground.stopped")}</p>}
      {state === "done" && !begun(answer) && <p className="faint">{t("chat.empty")}</p>}
      <span className="visually-hidden" role="status">
        {t(`playground.states.${state}`, { name })}
      </span>
    </div>
  );
}

function ChoiceView({ choice, grows, no }: { choice: Choice; grows: boolean; no?: number }) {
  const { t } = useTranslation();
  const { text, thinking, refusal, calls, finish } = choice;
  return (
    <div className={styles.choice}>
      {no !== undefined && <span className={styles.choiceNo}>{t("chat.choice", { no })}</span>}
      {thinking && (
        <Disclosure title={t("chat.thinking", { characters: count(thinking.length) })}>
          <div className={styles.thinking}>{thinking}</div>
        </Disclosure>
      )}
      {text && (
        <div className={styles.text} data-grows={grows || undefined}>
          {text}
        </div>
      )}
      {refusal && <PartView part={{ type: "refusal", text: refusal }} tools={NONE} />}
      {calls.map(({ index, id, name, arguments: given }) => (
        <PartView key={index} part={{ type: "tool_call", call_id: id, name, arguments: given }} tools={NONE} />
      ))}
      {finish !== null && !EXPECTED.has(finish) && (
        <div>
          <Badge tone="warn">{finish}</Badge>
        </div>
      )}
    </div>
  );
}

function ProblemView({ problem }: { problem: Problem }) {
  const { t } = useTranslation();
  switch (problem.kind) {
    case "refused":
      return (
        <Callout tone="bad" title={t("playground.refused", { status: problem.status })}>
          {problem.message}
        </Callout>
      );
    case "told":
      return (
        <Callout tone="bad" title={t("playground.told")}>
          {problem.message}
        </Callout>
      );
    case "broken":
      return <Callout tone="bad">{t("playground.broken")}</Callout>;
    case "unreachable":
      return <Callout tone="bad">{t("playground.unreachable")}</Callout>;
  }
}
