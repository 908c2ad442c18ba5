import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Activity, SearchX } from "lucide-react";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";

import { ApiProblem } from "@/api/client";
import { type Session, sessionFiguresQuery, type Turn, turnsQuery } from "@/api/sessions";
import { Cost, OutcomeBadge, Tokens } from "@/shared/calls/figures";
import { Chat } from "@/shared/chat/chat";
import { added, type Said } from "@/shared/chat/said";
import { count, duration, short } from "@/shared/format/numbers";
import { Time } from "@/shared/format/time";
import { Button } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { CopyButton } from "@/shared/ui/copy";
import { Empty, Fact, Page, Skeleton } from "@/shared/ui/page";

import styles from "./page.module.css";

/** One conversation from its beginning: of each call what it adds to those before. */
export function SessionPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { sessionId = "" } = useParams({ strict: false });
  const turns = useInfiniteQuery(turnsQuery(sessionId));
  const figures = useQuery(sessionFiguresQuery(sessionId));
  const error = turns.error ?? figures.error;
  const gone = turns.error instanceof ApiProblem && turns.error.status === 404;
  const all = useMemo(() => turns.data?.pages.flatMap((page) => page.turns) ?? [], [turns.data]);
  return (
    <Page
      title={t("sessions.sessionOf", { id: sessionId })}
      heading={<span className={styles.heading}>{sessionId}</span>}
      above={
        <Link to="/sessions" className={styles.back}>
          {t("sessions.title")}
        </Link>
      }
      actions={
        <>
          <CopyButton withText label={t("sessions.copyId")} text={sessionId} />
          <Button
            size="s"
            icon={<Activity />}
            onPress={() => void navigate({ to: "/traces", search: { session: sessionId } })}
          >
            {t("sessions.showTraces")}
          </Button>
        </>
      }
    >
      {!gone && <Summary session={figures.error ? (figures.data ?? null) : figures.data} />}
      {error && (
        <Missing
          error={error}
          onRetry={() => {
            if (turns.error) void turns.refetch();
            if (figures.error) void figures.refetch();
          }}
        />
      )}
      {turns.isPending && <Skeleton height="480px" />}
      <ol className={styles.turns}>
        {all.map((turn, index) => (
          <li key={turn.trace_id}>
            <TurnView turn={turn} before={conversationBefore(all, index)} />
          </li>
        ))}
      </ol>
      {turns.hasNextPage && (
        <div>
          <Button isPending={turns.isFetchingNextPage} onPress={() => void turns.fetchNextPage()}>
            {t("sessions.more")}
          </Button>
        </div>
      )}
    </Page>
  );
}

/** What was said last before: a call without content tells nothing of it. */
function conversationBefore(turns: readonly Turn[], index: number): Said | null {
  return turns.slice(0, index).findLast(({ conversation }) => conversation !== null)?.conversation ?? null;
}

function Missing({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const { t } = useTranslation();
  if (error instanceof ApiProblem && error.status === 404)
    return (
      <Empty icon={<SearchX />} title={t("sessions.gone")} action={<Link to="/sessions">{t("sessions.showAll")}</Link>}>
        {t("sessions.goneText")}
      </Empty>
    );
  return (
    <Callout
      tone="bad"
      title={t("problems.loadFailed")}
      action={<Button onPress={onRetry}>{t("common.retry")}</Button>}
    >
      {error.message || t("problems.network")}
    </Callout>
  );
}

/** `session`: undefined while it is fetched, null if nothing is known of it. */
function Summary({ session }: { session: Session | null | undefined }) {
  const { t } = useTranslation();
  const tell = (show: (session: Session) => React.ReactNode) =>
    session === undefined ? <Skeleton width="64px" height="14px" /> : session === null ? "–" : show(session);
  return (
    <>
      <dl className={styles.summary}>
        <Fact term={t("sessions.calls")}>
          {tell(({ traces, more }) => (more ? t("sessions.atLeast", { count: traces }) : count(traces)))}
        </Fact>
        <Fact term={t("sessions.first")}>{tell((one) => (one.more ? "–" : <Time at={one.first_at} />))}</Fact>
        <Fact term={t("sessions.last")}>
          {tell((one) => (
            <Time at={one.last_at} />
          ))}
        </Fact>
        <Fact term={t("sessions.input")}>
          {tell((one) => `${one.estimated_attempts ? "~" : ""}${short(one.input_tokens)}`)}
        </Fact>
        <Fact term={t("sessions.output")}>
          {tell((one) => `${one.estimated_attempts ? "~" : ""}${short(one.output_tokens)}`)}
        </Fact>
        <Fact term={t("sessions.cost")}>
          {tell((one) => (
            <Cost cost={one.cost} estimated={one.estimated_attempts > 0} unpriced={one.unpriced_attempts} />
          ))}
        </Fact>
        <Fact term={t("sessions.users")}>{tell((one) => one.users.join(", ") || "–")}</Fact>
        <Fact term={t("sessions.endpoints")}>{tell((one) => one.endpoints.join(", ") || "–")}</Fact>
      </dl>
      {session?.more && <p className="faint">{t("sessions.newestOnly", { count: session.traces })}</p>}
    </>
  );
}

function TurnView({ turn, before }: { turn: Turn; before: Said | null }) {
  const { t } = useTranslation();
  const said = turn.conversation;
  const fresh = said === null ? [] : added(before, said.messages);
  return (
    <section className={styles.turn} aria-label={turn.trace_id}>
      <header className={styles.head}>
        <Time at={turn.received_at} />
        <span>{turn.endpoint ?? turn.requested_model}</span>
        <span className="muted">{turn.model}</span>
        {turn.status !== "ok" && <OutcomeBadge status={turn.status} />}
        <span className={styles.figures}>
          <span title={t("traces.columns.tokens")}>
            <Tokens value={turn.tokens.input} provenance={turn.tokens.provenance} />
            {" → "}
            <Tokens value={turn.tokens.output} provenance={turn.tokens.provenance} />
          </span>
          <Cost cost={turn.cost} estimated={turn.cost_estimated} unpriced={turn.unpriced_attempts} />
          <span>{duration(turn.duration_ms)}</span>
          <Link to="/traces/$traceId" params={{ traceId: turn.trace_id }} search={{ session: turn.session }}>
            {t("sessions.openTrace")}
          </Link>
        </span>
      </header>
      {said === null ? (
        <Callout tone="neutral" past>
          {turn.conversation_missing}
        </Callout>
      ) : (
        <>
          {fresh.length === 0 && <p className="faint">{t("sessions.nothingNew")}</p>}
          <Chat said={said} messages={fresh} />
        </>
      )}
    </section>
  );
}
