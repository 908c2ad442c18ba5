import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Activity, Plus, Waypoints } from "lucide-react";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { type Endpoint, endpointsQuery } from "@/api/endpoints";
import { providersQuery } from "@/api/providers";
import { sessionQuery } from "@/api/session";
import { usageQuery } from "@/api/usage";
import { CostOf } from "@/shared/calls/sums";
import { Sparkline } from "@/shared/charts/sparkline";
import { count, share, short } from "@/shared/format/numbers";
import { useShortcut } from "@/shared/shortcuts";
import { Button, IconButton } from "@/shared/ui/button";
import { LoadFailed } from "@/shared/ui/callout";
import { Select } from "@/shared/ui/choice";
import { SearchField } from "@/shared/ui/field";
import { Empty, Page, Panel, Skeleton } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";
import { Hint } from "@/shared/ui/tooltip";

import { EndpointMenu } from "./endpoint-menu";
import { EndpointHealth } from "./health";
import styles from "./list.module.css";
import { parseView, renderView, SORTS, type View } from "./search";
import { DAY, measuresOf, today, trafficOf } from "./traffic";

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const ALL = "all";
const PAGE = 100; // rows at first: more would be scrolled past

/** What clients call, and how each of them does. */
export function EndpointsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const view = parseView(useSearch({ strict: false }));
  const show = (changes: Partial<View>) =>
    void navigate({ to: "/endpoints", search: renderView({ ...view, ...changes }), replace: true });
  const search = useRef<HTMLInputElement>(null);
  useShortcut(["/"], () => search.current?.focus());
  const [shown, setShown] = useState(PAGE);

  const { data: who } = useQuery(sessionQuery);
  const endpoints = useQuery(endpointsQuery);
  const providers = useQuery(providersQuery);
  const day = useQuery(usageQuery(DAY, 30_000));
  const cost = useQuery(usageQuery(today(ZONE), 30_000));
  const traffic = day.data ? trafficOf(day.data) : null;
  const costs = cost.data ? measuresOf(cost.data) : null;

  const titleOf = (name: string) => providers.data?.find((row) => row.name === name)?.title ?? name;
  const all = endpoints.data ?? [];
  const used = [...new Set(all.flatMap((endpoint) => targetsOf(endpoint).map(({ provider }) => provider)))];
  const weight = (endpoint: Endpoint) =>
    view.sort === "calls" ? (traffic?.get(endpoint.name)?.calls ?? 0) : Number(costs?.get(endpoint.name)?.cost ?? 0);
  const found = all
    .filter((endpoint) => fits(endpoint, view))
    .sort(
      (one, other) => (view.sort === "name" ? 0 : weight(other) - weight(one)) || one.name.localeCompare(other.name),
    );

  const admin = who?.role === "admin";
  const create = (
    <Button look="primary" icon={<Plus />} isDisabled={!admin} onPress={() => void navigate({ to: "/endpoints/new" })}>
      {t("endpoints.new")}
    </Button>
  );
  return (
    <Page
      title={t("endpoints.title")}
      description={t("endpoints.description")}
      actions={admin && endpoints.data?.length !== 0 ? create : undefined}
    >
      {endpoints.error && <LoadFailed error={endpoints.error} />}
      {endpoints.data?.length === 0 ? (
        <Panel>
          <Empty icon={<Waypoints />} title={t("endpoints.empty")} action={admin && create}>
            {t(admin ? "endpoints.emptyText" : "endpoints.emptyForOthers")}
          </Empty>
        </Panel>
      ) : (
        <>
          <div className={styles.filters}>
            <div className={styles.search}>
              <SearchField
                label={t("endpoints.search")}
                value={view.q}
                onChange={(q) => show({ q })}
                inputRef={search}
              />
            </div>
            <Select
              label={t("endpoints.provider")}
              hideLabel
              value={view.provider ?? ALL}
              options={[
                { value: ALL, label: t("endpoints.allProviders") },
                ...used
                  .map((name) => ({ value: name, label: titleOf(name) }))
                  .sort((one, other) => one.label.localeCompare(other.label)),
              ]}
              onChange={(provider) => show({ provider: provider === ALL ? null : provider })}
            />
          </div>
          <Panel flush>
            {endpoints.data ? (
              <Table
                fixed
                label={t("endpoints.title")}
                sortDescriptor={{ column: view.sort, direction: view.sort === "name" ? "ascending" : "descending" }}
                onSortChange={({ column }) => show({ sort: SORTS.find((sort) => sort === column) ?? "name" })}
              >
                <TableHeader>
                  <Column id="name" width="clamp(108px, 15vw, 280px)" isRowHeader allowsSorting>
                    {t("endpoints.name")}
                  </Column>
                  <Column id="models">{t("endpoints.models")}</Column>
                  <Column id="calls" width="clamp(116px, 14vw, 210px)" allowsSorting>
                    {t("endpoints.callsDay")}
                  </Column>
                  <Column id="errors" width="clamp(60px, 7vw, 68px)" numeric>
                    {t("endpoints.errors")}
                  </Column>
                  <Column id="cost" width="clamp(96px, 11vw, 104px)" numeric allowsSorting>
                    {t("endpoints.costToday")}
                  </Column>
                  <Column id="health" width="clamp(78px, 9vw, 120px)">
                    {t("endpoints.health")}
                  </Column>
                  <Column id="actions" width="clamp(76px, 9vw, 84px)">
                    <span className="visually-hidden">{t("endpoints.actions")}</span>
                  </Column>
                </TableHeader>
                <TableBody
                  items={found.slice(0, shown)}
                  dependencies={[traffic, costs, providers.data]}
                  renderEmptyState={() => (
                    <Empty
                      title={t("endpoints.nothingFound")}
                      action={<Button onPress={() => show({ q: "", provider: null })}>{t("endpoints.showAll")}</Button>}
                    />
                  )}
                >
                  {(endpoint) => {
                    const flow = traffic?.get(endpoint.name);
                    return (
                      <Row
                        id={endpoint.endpoint_id}
                        href={`/endpoints/${encodeURIComponent(endpoint.name)}`}
                        textValue={endpoint.name}
                      >
                        <Cell>
                          <span className={styles.name}>{endpoint.name}</span>
                          {endpoint.aliases.length > 0 && (
                            <span className={styles.under}>
                              {t("endpoints.alsoCalled", { names: endpoint.aliases.join(", ") })}
                            </span>
                          )}
                        </Cell>
                        <Cell>
                          <Models endpoint={endpoint} titleOf={titleOf} />
                        </Cell>
                        <Cell>
                          {traffic ? (
                            <span className={styles.calls}>
                              <Hint
                                text={t("endpoints.callsHint", {
                                  count: flow?.calls ?? 0,
                                  calls: count(flow?.calls ?? 0),
                                })}
                              >
                                {short(flow?.calls ?? 0)}
                              </Hint>
                              <Sparkline values={flow?.hours ?? [0, 0]} label={t("endpoints.callsByHour")} />
                            </span>
                          ) : (
                            <Skeleton height="24px" />
                          )}
                        </Cell>
                        <Cell numeric>
                          {flow?.calls ? (
                            <span className={flow.errors ? styles.errors : "faint"}>
                              {share(flow.errors / flow.calls)}
                            </span>
                          ) : (
                            <span className="faint">–</span>
                          )}
                        </Cell>
                        <Cell numeric>
                          {costs ? <CostOf sums={costs.get(endpoint.name)} /> : <Skeleton width="4em" />}
                        </Cell>
                        <Cell>
                          <EndpointHealth endpoint={endpoint} />
                        </Cell>
                        <Cell>
                          <span className={styles.actions}>
                            <IconButton
                              label={t("endpoints.viewTraces")}
                              icon={<Activity />}
                              onPress={() => void navigate({ to: "/traces", search: { endpoint: endpoint.name } })}
                            />
                            <EndpointMenu name={endpoint.name} />
                          </span>
                        </Cell>
                      </Row>
                    );
                  }}
                </TableBody>
              </Table>
            ) : (
              !endpoints.error && (
                <div className={styles.loading}>
                  {Array.from({ length: 6 }, (_, index) => (
                    <Skeleton key={index} height="36px" />
                  ))}
                </div>
              )
            )}
          </Panel>
          {found.length > shown && (
            <div className={styles.more}>
              <Button onPress={() => setShown(found.length)}>
                {t("endpoints.showMore", { count: found.length - shown })}
              </Button>
            </div>
          )}
        </>
      )}
    </Page>
  );
}

function targetsOf(endpoint: Endpoint) {
  return [...endpoint.primaries, ...endpoint.fallbacks];
}

function fits(endpoint: Endpoint, view: View): boolean {
  const targets = targetsOf(endpoint);
  if (view.provider !== null && !targets.some(({ provider }) => provider === view.provider)) return false;
  const text = [
    endpoint.name,
    ...endpoint.aliases,
    ...targets.map(({ model }) => model),
    ...Object.entries(endpoint.tags).flat(),
  ].join("\n");
  return view.q
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.toLowerCase().includes(word));
}

/** The first model, and how many there are beside it. */
function Models({ endpoint, titleOf }: { endpoint: Endpoint; titleOf: (provider: string) => string }) {
  const { t } = useTranslation();
  const [first] = endpoint.primaries;
  const others = endpoint.primaries.length - 1;
  const more = [
    others > 0 ? t("endpoints.moreModels", { count: others }) : "",
    endpoint.fallbacks.length > 0 ? t("endpoints.moreFallbacks", { count: endpoint.fallbacks.length }) : "",
  ].filter(Boolean);
  return (
    <span className={styles.models}>
      <span className="truncate">{first?.model ?? "–"}</span>
      <span className={styles.under}>{[titleOf(first?.provider ?? ""), ...more].join(" · ")}</span>
    </span>
  );
}
