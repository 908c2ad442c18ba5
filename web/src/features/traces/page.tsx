import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ChevronDown, ChevronUp, Play, SearchX } from "lucide-react";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";

import { ApiProblem } from "@/api/client";
import { type Trace, traceQuery, type TraceRow } from "@/api/traces";
import { Cost, OutcomeBadge, Tokens } from "@/shared/calls/figures";
import { Chat, Offered } from "@/shared/chat/chat";
import { duration } from "@/shared/format/numbers";
import { when } from "@/shared/format/time";
import { useShortcut } from "@/shared/shortcuts";
import { Badge } from "@/shared/ui/badge";
import { Button, IconButton } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { CopyButton } from "@/shared/ui/copy";
import { Empty, Fact, Facts, Page, Panel, Skeleton } from "@/shared/ui/page";
import { Tabs } from "@/shared/ui/tabs";

import { Account } from "./account";
import styles from "./page.module.css";
import { Raw } from "./raw";
import { useTraces } from "./rows";
import { parseView, renderView, type View } from "./search";
import { Waterfall } from "./waterfall";

/** One call. Its address has the filters of the list that it was come to from: its neighbours are those of the list. */
export function TracePage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const search: Record<string, unknown> = useSearch({ strict: false });
  const { traceId = "" } = useParams({ strict: false });
  const view = { ...parseView(search), live: false };
  const trace = useQuery(traceQuery(traceId));
  const list = useTraces(view, !trace.isPending);
  const index = list.rows.findIndex((row) => row.trace_id === traceId);
  // The list has told much of it already.
  const row: TraceRow | undefined = trace.data ?? list.rows[index];

  const query = renderView(view);
  const go = (to: TraceRow | undefined) => {
    if (to) void navigate({ to: "/traces/$traceId", params: { traceId: to.trace_id }, search: query, replace: true });
  };
  const newer = index > 0 ? list.rows[index - 1] : undefined;
  const older = index >= 0 ? list.rows[index + 1] : undefined;
  useShortcut(["k"], () => go(newer));
  useShortcut(["j"], () => go(older));
  const { hasMore, more } = list;
  const atEnd = index >= 0 && older === undefined && hasMore;
  useEffect(() => {
    if (atEnd) more();
  }, [atEnd, more]);
  useAhead(older?.trace_id);

  const name = row ? (row.endpoint ?? row.requested_model ?? t("traces.trace")) : t("traces.trace");
  return (
    <Page
      wide
      title={t("traces.traceOf", { name })}
      heading={
        <span className={styles.heading}>
          {row ? name : <Skeleton width="180px" height="20px" />}
          {row && <OutcomeBadge status={row.status} />}
        </span>
      }
      above={
        <Link to="/traces" search={query} className={styles.back}>
          {t("traces.title")}
        </Link>
      }
      actions={
        <>
          <CopyButton withText label={t("traces.copyId")} text={traceId} />
          <Button
            size="s"
            icon={<Play />}
            onPress={() => void navigate({ to: "/playground", search: { trace: traceId } })}
          >
            {t("traces.playground")}
          </Button>
          <IconButton
            label={t("traces.newer")}
            icon={<ChevronUp />}
            look="secondary"
            isDisabled={!newer}
            onPress={() => go(newer)}
          />
          <IconButton
            label={t("traces.older")}
            icon={<ChevronDown />}
            look="secondary"
            isDisabled={!older}
            onPress={() => go(older)}
          />
        </>
      }
    >
      {trace.error && <Missing error={trace.error} onRetry={() => void trace.refetch()} />}
      {!isGone(trace.error) && (trace.data ?? !trace.error) && (
        <>
          <Summary row={row} />
          {trace.data ? (
            <Whole key={traceId} trace={trace.data} view={view} tab={search.tab} />
          ) : (
            <Skeleton height="calc(100vh - 220px)" />
          )}
        </>
      )}
    </Page>
  );
}

/** What is likely looked at next is fetched before. */
function useAhead(traceId: string | undefined): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (traceId !== undefined) queries.query(traceQuery(traceId)).catch(() => undefined); // its page will say so
  }, [queries, traceId]);
}

function isGone(error: Error | null): boolean {
  return error instanceof ApiProblem && error.status === 404;
}

function Missing({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const { t } = useTranslation();
  if (isGone(error))
    return (
      <Empty
        icon={<SearchX />}
        title={t("traces.gone")}
        action={
          <Link to="/traces" search={{}}>
            {t("traces.showAll")}
          </Link>
        }
      >
        {t("traces.goneText")}
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

function Summary({ row }: { row: TraceRow | undefined }) {
  const { t } = useTranslation();
  const wait = <Skeleton width="64px" height="14px" />;
  return (
    <dl className={styles.summary}>
      <Fact term={t("traces.columns.time")}>{row ? when(row.received_at) : wait}</Fact>
      <Fact term={t("traces.columns.duration")}>{row ? duration(row.duration_ms) : wait}</Fact>
      <Fact term={t("traces.columns.firstToken")}>{row ? duration(row.first_token_ms) : wait}</Fact>
      <Fact term={t("traces.columns.input")}>
        {row ? <Tokens value={row.tokens.input} provenance={row.tokens.provenance} /> : wait}
      </Fact>
      <Fact term={t("traces.columns.output")}>
        {row ? <Tokens value={row.tokens.output} provenance={row.tokens.provenance} /> : wait}
      </Fact>
      <Fact term={t("traces.columns.cost")}>
        {row ? <Cost cost={row.cost} estimated={row.cost_estimated} unpriced={row.unpriced_attempts} /> : wait}
      </Fact>
      <Fact term={t("traces.columns.attempts")}>{row ? row.attempts : wait}</Fact>
      <Fact term={t("traces.columns.model")}>
        {row ? (
          <span className={styles.model}>
            {row.model ?? "–"}
            {row.fell_back && <Badge tone="warn">{t("traces.fallback")}</Badge>}
          </span>
        ) : (
          wait
        )}
      </Fact>
    </dl>
  );
}

const TABS = ["conversation", "request", "response", "offered"] as const;

function Whole({ trace, view, tab }: { trace: Trace; view: View; tab: unknown }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const said = trace.conversation;
  const selected = TABS.find((one) => one === tab) ?? "conversation";
  const contents = {
    conversation: said ? (
      <Chat said={said} />
    ) : (
      <Empty title={t("traces.noConversation")}>{trace.conversation_missing}</Empty>
    ),
    request: <Raw key="request" body={trace.request} label={t("traces.tabs.request")} />,
    response: <Raw key="response" body={trace.response} label={t("traces.tabs.response")} />,
    offered: <Offered tools={said?.tools ?? []} parameters={said?.parameters ?? {}} />,
  };
  const offered = said ? said.tools.length : 0;
  return (
    <>
      {trace.fault && trace.fault.message !== trace.tried.at(-1)?.fault?.message && (
        <Callout tone="bad" past title={trace.fault.kind}>
          {trace.fault.message}
        </Callout>
      )}
      <Waterfall trace={trace} />
      <div className={styles.columns}>
        <div className={styles.content}>
          {(trace.content === "not_kept" || trace.content === "no_room") && (
            <Callout tone="info" past>
              {t(`traces.content.${trace.content}`)}
            </Callout>
          )}
          <Tabs
            label={t("traces.said")}
            selected={selected}
            onSelect={(id) => {
              const search = { ...renderView(view), ...(id !== "conversation" && { tab: id }) };
              void navigate({
                to: "/traces/$traceId",
                params: { traceId: trace.trace_id },
                search,
                replace: true,
                resetScroll: false,
              });
            }}
            tabs={TABS.map((id) => ({
              id,
              title: (
                <>
                  {t(`traces.tabs.${id}`)}
                  {id === "offered" && offered > 0 && <Badge>{offered}</Badge>}
                </>
              ),
              content: contents[id],
            }))}
          />
        </div>
        <div className={styles.aside}>
          <Account trace={trace} />
          <Details trace={trace} />
        </div>
      </div>
    </>
  );
}

/** Who called, for whom, with what; ids to be taken. */
function Details({ trace }: { trace: Trace }) {
  const { t } = useTranslation();
  const last = trace.tried.at(-1);
  const extra = { ...trace.tags, ...trace.metadata };
  return (
    <Panel title={t("traces.details")}>
      <Facts columns={2}>
        {trace.endpoint !== null && (
          <Fact term={t("traces.columns.endpoint")}>
            <Link to="/endpoints/$name" params={{ name: trace.endpoint }}>
              {trace.endpoint}
            </Link>
            {trace.requested_model !== null && trace.requested_model !== trace.endpoint && (
              <span className="muted"> {t("traces.askedFor", { name: trace.requested_model })}</span>
            )}
          </Fact>
        )}
        {trace.session !== null && (
          <Fact term={t("traces.columns.session")}>
            <Link to="/sessions/$sessionId" params={{ sessionId: trace.session }}>
              {trace.session}
            </Link>
          </Fact>
        )}
        {trace.user !== null && (
          <Fact term={t("traces.columns.user")}>
            <Link to="/traces" search={{ user: trace.user }}>
              {trace.user}
            </Link>
          </Fact>
        )}
        <Fact term={t("traces.columns.experiment")}>
          <Link to="/traces" search={{ experiment_id: trace.experiment_id }}>
            {trace.experiment ?? trace.experiment_id}
          </Link>
        </Fact>
        {trace.key !== null && (
          <Fact term={t("traces.columns.key")}>
            <Link to="/traces" search={{ key: trace.key }}>
              {trace.key}
            </Link>
          </Fact>
        )}
        {trace.agent !== null && <Fact term={t("traces.columns.agent")}>{trace.agent}</Fact>}
        <Fact term={t("traces.columns.format")}>
          {trace.streamed ? t("traces.streamed", { format: trace.format }) : trace.format}
        </Fact>
        <Fact term={t("traces.path")}>
          <span className="mono">{trace.path}</span>
        </Fact>
        <Fact term={t("traces.answered")}>
          {trace.http_status === null ? "–" : t("traces.http", { status: trace.http_status })}
        </Fact>
        {last?.response_model != null && <Fact term={t("traces.responseModel")}>{last.response_model}</Fact>}
        {last?.stop_reason != null && <Fact term={t("traces.stopReason")}>{last.stop_reason}</Fact>}
        {last?.service_tier != null && <Fact term={t("traces.serviceTier")}>{last.service_tier}</Fact>}
        {last?.upstream_request_id != null && (
          <Fact term={t("traces.upstreamRequest")}>
            <Id text={last.upstream_request_id} />
          </Fact>
        )}
        <Fact term={t("traces.traceId")}>
          <Id text={trace.trace_id} />
        </Fact>
        <Fact term={t("traces.callId")}>
          <Id text={trace.call_id} />
        </Fact>
        {Object.entries(extra).map(([name, value]) => (
          <Fact key={name} term={<span className="mono">{name}</span>}>
            {value}
          </Fact>
        ))}
      </Facts>
    </Panel>
  );
}

function Id({ text }: { text: string }) {
  const { t } = useTranslation();
  return (
    <span className={styles.id}>
      <span className="mono truncate" title={text}>
        {text}
      </span>
      <CopyButton label={t("common.copy")} text={text} />
    </span>
  );
}
