import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Send } from "lucide-react";
import { type SubmitEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { type Kind, testCall } from "@/api/calling";
import type { Endpoint } from "@/api/endpoints";
import { count, duration } from "@/shared/format/numbers";
import { Badge } from "@/shared/ui/badge";
import { Button, Segmented } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { TextArea } from "@/shared/ui/field";
import { Panel } from "@/shared/ui/page";

import styles from "./page.module.css";

const KINDS = ["chat", "embeddings"] as const;

/** Whether the endpoint answers: one call, as any client makes it, with what came back. */
export function TestCall({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [kind, setKind] = useState<Kind>(() =>
    endpoint.primaries.every(({ model }) => /embed/i.test(model)) ? "embeddings" : "chat",
  );
  const underWay = useRef<AbortController>(null);
  useEffect(() => () => underWay.current?.abort(), []);
  const call = useMutation({
    mutationFn: () => {
      underWay.current = new AbortController();
      return testCall(endpoint.name, kind, text.trim() || t("endpoints.testText"), underWay.current.signal);
    },
  });
  const outcome = call.data;
  const stopped = call.error instanceof DOMException && call.error.name === "AbortError";
  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (!call.isPending) call.mutate();
  }
  return (
    <Panel title={t("endpoints.test")} description={t("endpoints.testHint")}>
      <form className={styles.test} onSubmit={submit}>
        <TextArea
          label={t("endpoints.testLabel")}
          hideLabel
          rows={2}
          value={text}
          onChange={setText}
          placeholder={t("endpoints.testText")}
        />
        <div className={styles.row}>
          <Segmented
            label={t("endpoints.testKind")}
            value={kind}
            options={KINDS.map((value) => ({ value, label: t(`endpoints.testKinds.${value}`) }))}
            onChange={setKind}
          />
          <Button type="submit" look="primary" icon={<Send />} isPending={call.isPending}>
            {t("endpoints.testSend")}
          </Button>
          {call.isPending && <Button onPress={() => underWay.current?.abort()}>{t("common.cancel")}</Button>}
        </div>
      </form>
      {call.error && !stopped && (
        <Callout tone="bad" title={t("endpoints.testFailed")}>
          {call.error.message || t("problems.network")}
        </Callout>
      )}
      {outcome && (
        <div className={styles.outcome} role="status">
          <div className={styles.row}>
            <Badge tone={outcome.ok ? "good" : "bad"} dot>
              {t(outcome.ok ? "endpoints.testAnswered" : "endpoints.testRefused", { status: outcome.status })}
            </Badge>
            <span className="numbers muted">{duration(outcome.ms)}</span>
            {outcome.model !== null && <span className="muted">{outcome.model}</span>}
            {outcome.tokens && (
              <span className="numbers muted">
                {t("endpoints.testTokens", {
                  input: count(outcome.tokens.input),
                  output: count(outcome.tokens.output),
                })}
              </span>
            )}
            {outcome.traceId !== null && (
              <Link to="/traces/$traceId" params={{ traceId: outcome.traceId }}>
                {t("endpoints.testTrace")}
              </Link>
            )}
          </div>
          <p className={styles.answer}>{outcome.text || t("endpoints.testNothing")}</p>
        </div>
      )}
    </Panel>
  );
}
