import { usePrefetchInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { Activity } from "lucide-react";
import { useTranslation } from "react-i18next";

import { traceQuery, tracesQuery, type TraceRow } from "@/api/traces";
import { when } from "@/shared/format/time";
import { VirtualGrid } from "@/shared/table-virtual/grid";
import { TypedSearch } from "@/shared/typed-search";
import { Button } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Select } from "@/shared/ui/choice";
import { Switch } from "@/shared/ui/switch";
import { Empty, Page } from "@/shared/ui/page";

import { ColumnChoice } from "./column-choice";
import { useColumns, useGridColumns } from "./columns";
import { AddFilter, Chips } from "./filters";
import styles from "./list.module.css";
import { useTraces } from "./rows";
import { EVERYTHING, isFiltered, parseView, questionOf, renderView, type View } from "./search";

export function TracesPage() {
  const { t } = useTranslation();
  const router = useRouter();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const view = parseView(useSearch({ strict: false }));
  const show = (next: View) => void navigate({ to: "/traces", search: renderView(next), replace: true });
  const [chosen, choose] = useColumns();
  const columns = useGridColumns(chosen);
  usePrefetchInfiniteQuery(tracesQuery(questionOf(view))); // asked for before the page is drawn for the first time
  const list = useTraces(view);

  const hrefOf = ({ trace_id }: TraceRow) =>
    router.buildLocation({
      to: "/traces/$traceId",
      params: { traceId: trace_id },
      search: renderView({ ...view, live: false }),
    }).href;
  const nameOf = (row: TraceRow) =>
    t("traces.rowName", {
      time: when(row.received_at),
      endpoint: row.endpoint ?? row.requested_model ?? "–",
      status: t(`traces.status.${row.status}`),
      said: row.request_preview?.slice(0, 80) ?? "",
    });

  return (
    <Page
      wide
      fill
      title={t("traces.title")}
      actions={<Switch label={t("traces.live")} isSelected={view.live} onChange={(live) => show({ ...view, live })} />}
    >
      <div className={styles.top}>
        <div className={styles.bar}>
          <div className={styles.search}>
            <TypedSearch
              label={t("traces.search")}
              placeholder={t("traces.searchPlaceholder")}
              value={view.q}
              maxLength={1000}
              focusedBySlash
              onSearch={(q) => show({ ...view, q })}
            />
          </div>
          <RangeChoice view={view} onShow={show} />
          <AddFilter view={view} onShow={show} />
          <div className={styles.end}>
            <ColumnChoice chosen={chosen} onChoose={choose} />
          </div>
        </div>
        <Chips view={view} onShow={show} />
      </div>
      {list.error && (
        <Callout
          tone="bad"
          title={t("problems.loadFailed")}
          action={<Button onPress={list.retry}>{t("common.retry")}</Button>}
        >
          {list.error.message || t("problems.network")}
        </Callout>
      )}
      {!(list.error && !list.rows.length) && (
        <VirtualGrid
          key={JSON.stringify(questionOf(view))}
          label={t("traces.title")}
          columns={columns}
          rows={list.rows}
          idOf={idOf}
          hrefOf={hrefOf}
          nameOf={nameOf}
          hasMore={list.hasMore}
          isLoading={list.isLoading}
          onMore={list.more}
          onTop={list.setAtTop}
          onIntent={(row) => {
            queries.query(traceQuery(row.trace_id)).catch(() => undefined); // the page says it
            void router.preloadRoute({ to: "/traces/$traceId", params: { traceId: row.trace_id } });
          }}
          empty={<Nothing view={view} onShow={show} />}
        />
      )}
    </Page>
  );
}

const idOf = (row: TraceRow) => row.trace_id;

const RANGES = { "1h": 3_600_000, "24h": 86_400_000, "7d": 7 * 86_400_000, "30d": 30 * 86_400_000 } as const;
type Range = keyof typeof RANGES;

/** A range is kept as the instant at which it begins: who is sent the address sees the same traces. */
function RangeChoice({ view, onShow }: { view: View; onShow: (view: View) => void }) {
  const { t } = useTranslation();
  const custom = view.since_ms !== null || view.until_ms !== null;
  return (
    <Select
      label={t("traces.range")}
      hideLabel
      value={custom ? "custom" : "any"}
      options={[
        { value: "any", label: t("traces.anyTime") },
        ...(Object.keys(RANGES) as Range[]).map((value) => ({ value, label: t(`traces.ranges.${value}`) })),
        ...(custom ? [{ value: "custom" as const, label: t("traces.customRange") }] : []),
      ]}
      onChange={(value) => {
        if (value === "any") onShow({ ...view, since_ms: null, until_ms: null });
        else if (value !== "custom") onShow({ ...view, since_ms: Date.now() - RANGES[value], until_ms: null });
      }}
    />
  );
}

function Nothing({ view, onShow }: { view: View; onShow: (view: View) => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  if (isFiltered(view))
    return (
      <Empty
        icon={<Activity />}
        title={t("traces.noneFound")}
        action={<Button onPress={() => onShow({ ...EVERYTHING, live: view.live })}>{t("traces.showAll")}</Button>}
      >
        {t("traces.noneFoundText")}
      </Empty>
    );
  return (
    <Empty
      icon={<Activity />}
      title={t("traces.none")}
      action={<Button onPress={() => void navigate({ to: "/endpoints" })}>{t("traces.useEndpoint")}</Button>}
    >
      {t("traces.noneText")}
    </Empty>
  );
}
