import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { CalendarRange, ChartColumn } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";

import { FAILED } from "@/api/traces";
import { usageQuery } from "@/api/usage";
import { Legend, SeriesChart, type Series, type Span } from "@/shared/charts/series-chart";
import { count, duration, money, short } from "@/shared/format/numbers";
import { Badge } from "@/shared/ui/badge";
import { Button, Segmented } from "@/shared/ui/button";
import { LoadFailed } from "@/shared/ui/callout";
import { Empty, Page, Panel, Skeleton } from "@/shared/ui/page";

import { adds, groupOf, type Row, seriesOf, splitOf } from "./fold";
import styles from "./page.module.css";
import {
  METRICS,
  pace,
  parseView,
  RANGES,
  rangeOf,
  renderView,
  SPLITS,
  stepOf,
  type Metric,
  type View,
} from "./search";
import { Split } from "./split";
import { Tiles } from "./tiles";

// A dialog and fields are much to load for what few open.
const CustomRange = lazy(async () => ({ default: (await import("./custom-range")).CustomRange }));

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const TOP = 7; // colours that can be told apart, and one for all others
const CUSTOM = "custom";

/** What went through the gateway: how much, how well, for how much money, against the period before. */
export function OverviewPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const view = parseView(useSearch({ strict: false }));
  const show = (changes: Partial<View>) =>
    void navigate({ to: "/", search: renderView({ ...view, ...changes }), replace: true });

  const range = rangeOf(view, ZONE);
  const live = pace(view);
  const split = view.split === "none" ? {} : { group_by: [view.split], top: TOP };
  const orders = {
    calls: "calls",
    errors: "errors",
    tokens: "tokens",
    cost: "cost",
    latency: "calls",
    firstToken: "calls",
  } as const;
  const total = useQuery(usageQuery({ ...range, compare: true, percentiles: true }, live));
  const course = useQuery(
    usageQuery(
      { ...range, ...split, step: stepOf(view), order: orders[view.metric], percentiles: !adds(view.metric) },
      live,
    ),
  );
  const shape = useQuery(usageQuery({ ...range, step: stepOf(view) }, live));

  const by = splitOf(course.data);
  const name = (row: Row) => {
    if (by === "none") return t(`overview.metrics.${view.metric}`);
    return row.other ? t("overview.other") : row.group[by] || t("overview.nameless");
  };
  const groups = useQuery({
    ...usageQuery({ ...range, ...split, order: orders[view.metric], compare: true, percentiles: true }, live),
    enabled: view.split !== "none",
  });
  // Its order is that of the colours and of the legend.
  const ordered = view.split === "none" || groups.data !== undefined || groups.isError;
  const order = (groups.data?.rows ?? []).map((row) => groupOf(row, by));
  const { spans, series } = seriesOf(course.data?.rows ?? [], shape.data?.rows ?? [], by, view.metric, name, order);

  function open(span: Span, one: Series | null) {
    const filter = one && !one.other && one.id.startsWith("=") && by !== "none" ? { [by]: one.id.slice(1) } : {};
    const failed = view.metric === "errors" ? { status: FAILED } : {};
    void navigate({ to: "/traces", search: { ...filter, ...failed, since_ms: span.since, until_ms: span.until } });
  }

  const problem = total.error ?? course.error ?? shape.error ?? groups.error;
  const empty = total.data?.total.measures.calls === 0 && total.data.total.measures.attempts === 0;
  return (
    <Page
      title={t("overview.title")}
      actions={
        <>
          {live !== false && (
            <Badge tone="good" dot>
              {t("overview.live")}
            </Badge>
          )}
          <RangeChoice view={view} onShow={show} />
        </>
      }
    >
      {problem && <LoadFailed error={problem} />}
      <Tiles usage={total.data} shape={shape.data} />
      <Panel
        title={<Metrics view={view} onShow={show} />}
        actions={
          <Segmented
            label={t("overview.split")}
            value={view.split}
            options={SPLITS.map((value) => ({ value, label: t(`overview.splits.${value}`) }))}
            onChange={(value) => show({ split: value })}
          />
        }
      >
        {empty ? (
          <Empty
            icon={<ChartColumn />}
            title={t("overview.empty")}
            action={<Link to="/endpoints">{t("overview.useEndpoint")}</Link>}
          >
            {t("overview.emptyText")}
          </Empty>
        ) : course.data && shape.data && ordered ? (
          <div className={styles.chart}>
            <SeriesChart
              label={
                by === "none"
                  ? t("overview.chartAll", { metric: t(`overview.metrics.${view.metric}`) })
                  : t("overview.chart", {
                      metric: t(`overview.metrics.${view.metric}`),
                      split: t(`overview.splits.${by}`),
                    })
              }
              kind={adds(view.metric) ? "bars" : "lines"}
              spans={spans}
              series={series}
              format={formatOf(view.metric)}
              whole={view.metric === "calls" || view.metric === "errors"}
              height={264}
              onOpen={open}
            />
            <div className={styles.below}>
              {by === "none" ? <span /> : <Legend series={series} />}
              <span className="faint">{t(adds(view.metric) ? "overview.hint" : "overview.hintLines")}</span>
            </div>
          </div>
        ) : (
          <Skeleton height="292px" />
        )}
      </Panel>
      {view.split !== "none" && !empty && (groups.data ?? !groups.error) && (
        <Split usage={groups.data} ended={view.since !== undefined} />
      )}
    </Page>
  );
}

function formatOf(metric: Metric): (value: number | null) => string {
  if (metric === "cost") return money;
  return adds(metric) ? (metric === "tokens" ? short : count) : duration;
}

function Metrics({ view, onShow }: { view: View; onShow: (changes: Partial<View>) => void }) {
  const { t } = useTranslation();
  return (
    <Segmented
      label={t("overview.metric")}
      value={view.metric}
      options={METRICS.map((value) => ({ value, label: t(`overview.metrics.${value}`) }))}
      onChange={(metric) => onShow({ metric })}
    />
  );
}

function RangeChoice({ view, onShow }: { view: View; onShow: (changes: Partial<View>) => void }) {
  const { t } = useTranslation();
  const [choosing, setChoosing] = useState(false);
  const custom = view.since !== undefined;
  return (
    <>
      <Segmented
        label={t("overview.range")}
        value={custom ? CUSTOM : view.range}
        options={[
          ...RANGES.map((value) => ({ value, label: t(`overview.ranges.${value}`) })),
          ...(custom ? [{ value: CUSTOM, label: t("overview.custom") } as const] : []),
        ]}
        onChange={(range) => {
          if (range !== CUSTOM) onShow({ range, since: undefined, until: undefined });
        }}
      />
      <Button icon={<CalendarRange />} onPress={() => setChoosing(true)}>
        {t("overview.customRange")}
      </Button>
      <Suspense>{choosing && <CustomRange view={view} onShow={onShow} onClose={() => setChoosing(false)} />}</Suspense>
    </>
  );
}
