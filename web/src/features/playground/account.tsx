import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { type Call, callQuery } from "@/api/playground";
import { Cost, Tokens } from "@/shared/calls/figures";
import { count, duration } from "@/shared/format/numbers";
import { Button } from "@/shared/ui/button";
import { Skeleton } from "@/shared/ui/page";

import styles from "./column.module.css";
import { counts, provenance } from "./figures";
import { type Run, UNDER_WAY } from "./run";

const NOT_YET = "–";

/** What an answer took and cost: times as this browser measured them, and all else as the ledger has it, a moment after the end. */
export function Account({ run }: { run: Run }) {
  const { t } = useTranslation();
  const { callId, firstToken, total } = run;
  const over = !UNDER_WAY(run);
  const { data: call, isError, refetch } = useQuery({ ...callQuery(callId ?? ""), enabled: over && callId !== null });
  const counting = over && callId !== null && !call && !isError;
  const told = call && counts(call);
  const known = call ? provenance(call) : "unknown";
  const gateway = (ns: number | null | undefined) =>
    ns == null ? undefined : t("playground.inGateway", { time: duration(ns / 1e6) });
  const classes = (...all: (readonly [string, number | null | undefined])[]) =>
    all.flatMap(([said, value]) => (value ? [`${said} ${count(value)}`] : [])).join(" · ") || undefined;
  return (
    <footer className={styles.account}>
      <dl className={styles.figures}>
        <Figure term={t("playground.firstToken")} more={gateway(call?.first_token_ns)}>
          {duration(firstToken)}
        </Figure>
        <Figure term={t("playground.total")} more={gateway(call?.duration_ns)}>
          {duration(total)}
        </Figure>
        <Figure
          term={t("playground.input")}
          counting={counting}
          more={classes(
            [t("playground.cacheRead"), told?.cacheRead],
            [t("playground.cacheWrite"), told?.cacheWrite],
            [t("playground.imageTokens"), told?.image],
            [t("playground.audioTokens"), told?.audio],
          )}
        >
          {told ? <Tokens exact value={told.input} provenance={known} /> : NOT_YET}
        </Figure>
        <Figure
          term={t("playground.output")}
          counting={counting}
          more={classes([t("playground.reasoning"), told?.reasoning])}
        >
          {told ? <Tokens exact value={told.output} provenance={known} /> : NOT_YET}
        </Figure>
        <Figure term={t("playground.cost")} counting={counting}>
          {call ? (
            <Cost
              cost={call.cost}
              estimated={(call.estimated_attempts ?? 0) > 0}
              unpriced={call.unpriced_attempts ?? 0}
            />
          ) : (
            NOT_YET
          )}
        </Figure>
      </dl>
      <p className={styles.by}>
        {call ? <By call={call} /> : counting ? t("playground.counting") : ""}
        {isError && (
          <>
            {t("playground.notCounted")}{" "}
            <Button size="s" look="ghost" onPress={() => void refetch()}>
              {t("common.retry")}
            </Button>
          </>
        )}
      </p>
    </footer>
  );
}

function By({ call }: { call: Call }) {
  const { t } = useTranslation();
  const last = call.attempts.at(-1);
  return (
    <>
      {last && (
        <span>{t("playground.answeredBy", { provider: last.provider, model: last.response_model ?? last.model })}</span>
      )}
      {call.attempts.length > 1 && <span>{t("playground.attempts", { count: call.attempts.length })}</span>}
      {call.trace_id === null ? (
        <span>{t("playground.untraced")}</span>
      ) : (
        <Link to="/traces/$traceId" params={{ traceId: call.trace_id }}>
          {t("playground.openTrace")}
        </Link>
      )}
    </>
  );
}

function Figure({
  term,
  more,
  counting = false,
  children,
}: {
  term: string;
  more?: string | undefined;
  counting?: boolean;
  children: ReactNode;
}) {
  return (
    <div className={styles.figure}>
      <dt>{term}</dt>
      <dd>{counting ? <Skeleton width="44px" height="12px" /> : children}</dd>
      <dd className={styles.sub}>{more}</dd>
    </div>
  );
}
