import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { MessagesSquare } from "lucide-react";
import { useCallback, useMemo } from "react";
import { useTranslation } from "react-i18next";

import { type Session, sessionsQuery, turnsQuery } from "@/api/sessions";
import { Cost } from "@/shared/calls/figures";
import { count, duration, short } from "@/shared/format/numbers";
import { instant, Time, when } from "@/shared/format/time";
import { type GridColumn, VirtualGrid } from "@/shared/table-virtual/grid";
import { TypedSearch } from "@/shared/typed-search";
import { Badge } from "@/shared/ui/badge";
import { Button } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Empty, Page } from "@/shared/ui/page";

import styles from "./list.module.css";
import { parseView, questionOf, renderView, type View } from "./search";

/** Conversations, the one that was spoken in last first. */
export function SessionsPage() {
  const { t } = useTranslation();
  const router = useRouter();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const view = parseView(useSearch({ strict: false }));
  const show = (next: View) => void navigate({ to: "/sessions", search: renderView(next), replace: true });
  const question = questionOf(view);
  const list = useInfiniteQuery(sessionsQuery(question));
  const { data, fetchNextPage, isFetchingNextPage, isError } = list;
  const rows = useMemo(() => data?.pages.flatMap(({ sessions }) => sessions) ?? [], [data]);
  const more = useCallback(() => {
    if (!isFetchingNextPage && !isError) void fetchNextPage();
  }, [isFetchingNextPage, isError, fetchNextPage]);
  const columns = useColumns();
  const filtered = Object.keys(question).length > 0;

  return (
    <Page wide fill title={t("sessions.title")} description={t("sessions.description")}>
      <div className={styles.bar}>
        <div className={styles.field}>
          <TypedSearch
            label={t("sessions.search")}
            value={view.q}
            focusedBySlash
            onSearch={(q) => show({ ...view, q })}
            maxLength={500}
          />
        </div>
        <div className={styles.field}>
          <TypedSearch
            label={t("sessions.user")}
            placeholder={t("sessions.userPlaceholder")}
            value={view.user}
            onSearch={(user) => show({ ...view, user })}
            maxLength={500}
          />
        </div>
      </div>
      {list.error && (
        <Callout
          tone="bad"
          title={t("problems.loadFailed")}
          action={<Button onPress={() => void (data ? fetchNextPage() : list.refetch())}>{t("common.retry")}</Button>}
        >
          {list.error.message || t("problems.network")}
        </Callout>
      )}
      {!(list.error && !rows.length) && (
        <VirtualGrid
          key={JSON.stringify(question)}
          label={t("sessions.title")}
          columns={columns}
          rows={rows}
          idOf={idOf}
          hrefOf={({ session_id }) =>
            router.buildLocation({ to: "/sessions/$sessionId", params: { sessionId: session_id } }).href
          }
          nameOf={(row) => t("sessions.rowName", { id: row.session_id, time: when(row.last_at) })}
          hasMore={list.hasNextPage}
          isLoading={list.isPending}
          onMore={more}
          onIntent={({ session_id }) => {
            queries.infiniteQuery(turnsQuery(session_id)).catch(() => undefined); // the page says it
          }}
          empty={
            filtered ? (
              <Empty
                icon={<MessagesSquare />}
                title={t("sessions.noneFound")}
                action={
                  <Button onPress={() => show({ q: "", user: "", experimentIds: [] })}>{t("sessions.showAll")}</Button>
                }
              >
                {t("sessions.noneFoundText")}
              </Empty>
            ) : (
              <Empty icon={<MessagesSquare />} title={t("sessions.none")}>
                {t("sessions.noneText")}
              </Empty>
            )
          }
        />
      )}
    </Page>
  );
}

const idOf = (row: Session) => row.session_id;

function useColumns(): GridColumn<Session>[] {
  const { t } = useTranslation();
  return [
    { id: "last", title: t("sessions.columns.last"), width: 96, cell: (row) => <Time at={row.last_at} /> },
    {
      id: "session",
      title: t("sessions.columns.session"),
      width: 160,
      grows: 1,
      cell: (row) => <span className="mono truncate">{row.session_id}</span>,
    },
    {
      id: "said",
      title: t("sessions.columns.said"),
      width: 200,
      grows: 3,
      cell: (row) => <span className="truncate muted">{row.last.request_preview ?? "–"}</span>,
    },
    {
      id: "traces",
      title: t("sessions.columns.traces"),
      width: 72,
      numeric: true,
      cell: (row) => (row.more ? t("sessions.atLeast", { count: row.traces }) : count(row.traces)),
    },
    {
      id: "errors",
      title: t("sessions.columns.errors"),
      width: 72,
      numeric: true,
      cell: (row) => (row.errors ? <Badge tone="bad">{count(row.errors)}</Badge> : "0"),
    },
    {
      id: "user",
      title: t("sessions.columns.user"),
      width: 110,
      grows: 1,
      cell: (row) => <span className="truncate">{row.users.join(", ") || "–"}</span>,
    },
    {
      id: "endpoints",
      title: t("sessions.columns.endpoints"),
      width: 120,
      grows: 1,
      cell: (row) => <span className="truncate">{row.endpoints.join(", ") || "–"}</span>,
    },
    {
      id: "tokens",
      title: t("sessions.columns.tokens"),
      width: 82,
      numeric: true,
      cell: (row) => `${row.estimated_attempts ? "~" : ""}${short(tokensOf(row))}`,
    },
    {
      id: "cost",
      title: t("sessions.columns.cost"),
      width: 100,
      numeric: true,
      cell: (row) => <Cost cost={row.cost} estimated={row.estimated_attempts > 0} unpriced={row.unpriced_attempts} />,
    },
    {
      id: "length",
      title: t("sessions.columns.length"),
      width: 100,
      numeric: true,
      cell: (row) => duration(instant(row.last_at) - instant(row.first_at)),
    },
  ];
}

/** null: neither is known. */
function tokensOf({ input_tokens, output_tokens }: Session): number | null {
  return input_tokens === null && output_tokens === null ? null : (input_tokens ?? 0) + (output_tokens ?? 0);
}
