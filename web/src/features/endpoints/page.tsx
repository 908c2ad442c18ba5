import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Activity, Pencil } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { knownModelsQuery } from "@/api/catalog";
import { ApiProblem } from "@/api/client";
import { type Endpoint, endpointQuery, type Target } from "@/api/endpoints";
import { providersQuery } from "@/api/providers";
import { sessionQuery } from "@/api/session";
import { usageQuery } from "@/api/usage";
import { CostOf } from "@/shared/calls/sums";
import { Sparkline } from "@/shared/charts/sparkline";
import { count, duration, share, short } from "@/shared/format/numbers";
import { Time } from "@/shared/format/time";
import { ModelFacts } from "@/shared/pickers/model-picker";
import { Badge } from "@/shared/ui/badge";
import { Button } from "@/shared/ui/button";
import { LoadFailed } from "@/shared/ui/callout";
import { Empty, Fact, Facts, Page, Panel, Skeleton } from "@/shared/ui/page";
import { Hint } from "@/shared/ui/tooltip";

import { EndpointMenu } from "./endpoint-menu";
import { EndpointHealth, TargetHealth } from "./health";
import styles from "./page.module.css";
import { TestCall } from "./test-call";
import { summaryOf } from "./timeouts";
import { DAY, today, trafficOf } from "./traffic";
import { UseIt } from "./use-it";

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** One endpoint: how it does, how it is called, and whether it answers. */
export function EndpointPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { name } = useParams({ from: "/shell/endpoints/$name" });
  const { data: who } = useQuery(sessionQuery);
  const { data: endpoint, error } = useQuery({ ...endpointQuery(name), refetchInterval: 10_000 });
  const above = <Link to="/endpoints">{t("endpoints.title")}</Link>;
  if (!endpoint)
    return (
      <Page title={name} above={above}>
        {error instanceof ApiProblem && error.status === 404 ? (
          <Empty
            title={t("endpoints.missing", { name })}
            action={<Link to="/endpoints">{t("endpoints.showAllEndpoints")}</Link>}
          />
        ) : error ? (
          <LoadFailed error={error} />
        ) : (
          <>
            <Skeleton height="73.4px" />
            <Skeleton height="300px" />
          </>
        )}
      </Page>
    );
  return (
    <Page
      title={name}
      above={above}
      heading={
        <span className={styles.heading}>
          {name} <EndpointHealth endpoint={endpoint} />
        </span>
      }
      actions={
        <>
          <Button
            icon={<Activity />}
            onPress={() => void navigate({ to: "/traces", search: { endpoint: endpoint.name } })}
          >
            {t("endpoints.viewTraces")}
          </Button>
          {who?.role === "admin" && (
            <Button
              icon={<Pencil />}
              look="primary"
              onPress={() => void navigate({ to: "/endpoints/$name/edit", params: { name } })}
            >
              {t("endpoints.edit")}
            </Button>
          )}
          <EndpointMenu name={name} size="m" onDeleted={() => void navigate({ to: "/endpoints" })} />
        </>
      }
    >
      <Figures name={name} />
      <div className={styles.columns}>
        <div className={styles.column}>
          <UseIt endpoint={endpoint} />
          <TestCall key={endpoint.endpoint_id} endpoint={endpoint} />
        </div>
        <div className={styles.column}>
          <Models endpoint={endpoint} />
          <Setup endpoint={endpoint} />
        </div>
      </div>
    </Page>
  );
}

function Figures({ name }: { name: string }) {
  const { t } = useTranslation();
  const where = [`endpoint=${name}`];
  const day = useQuery(usageQuery({ ...DAY, where, percentiles: true }, 10_000));
  const cost = useQuery(usageQuery({ ...today(ZONE), where }, 10_000));
  if (!day.data || !cost.data) return <Skeleton height="73.4px" />;
  const { calls, errors, latency, first_token } = day.data.total.measures;
  return (
    <dl className={styles.figures}>
      <Figure term={t("endpoints.callsDay")} value={<Hint text={count(calls)}>{short(calls)}</Hint>}>
        <Sparkline values={trafficOf(day.data).get(name)?.hours ?? [0, 0]} label={t("endpoints.callsByHour")} />
      </Figure>
      <Figure term={t("endpoints.errors")} value={calls ? share(errors / calls) : "–"} />
      <Figure term={t("endpoints.costToday")} value={<CostOf sums={cost.data.total.measures} />} />
      <Figure term={t("endpoints.latency")} value={duration(latency?.p50)} />
      <Figure term={t("endpoints.firstToken")} value={duration(first_token?.p50)} />
    </dl>
  );
}

function Figure({ term, value, children }: { term: string; value: ReactNode; children?: ReactNode }) {
  return (
    <div className={styles.figure}>
      <dt>{term}</dt>
      <dd>
        <span className={styles.value}>{value}</span>
        {children}
      </dd>
    </div>
  );
}

function Models({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("endpoints.models")}>
      <ul className={styles.targets}>
        {endpoint.primaries.map((target) => (
          <TargetRow key={target.model_definition_id} target={target}>
            {endpoint.primaries.length > 1 && <Badge>{share(target.share / 100)}</Badge>}
          </TargetRow>
        ))}
        {endpoint.fallbacks.map((target, place) => (
          <TargetRow key={target.model_definition_id} target={target}>
            <Badge>{t("endpoints.fallbackNo", { number: place + 1 })}</Badge>
          </TargetRow>
        ))}
      </ul>
    </Panel>
  );
}

function TargetRow({ target, children }: { target: Target; children: ReactNode }) {
  const { t } = useTranslation();
  const { data: providers } = useQuery(providersQuery);
  const { data: known, isPending } = useQuery(knownModelsQuery(target.provider, target.model));
  const model = known?.models.find((row) => row.model === target.model && row.provider === target.provider);
  return (
    <li className={styles.target}>
      <div className={styles.row}>
        <strong className={styles.model}>{target.model}</strong>
        {children}
        <TargetHealth target={target} />
      </div>
      <span className={styles.note}>
        {[
          providers?.find(({ name }) => name === target.provider)?.title ?? target.provider,
          target.secret_name ?? t("endpoints.noCredential"),
        ].join(" · ")}
      </span>
      {(model ?? isPending) && (
        <span className={`${styles.note} ${styles.known}`}>
          {model ? <ModelFacts model={model} /> : <Skeleton width="60%" height="12px" />}
        </span>
      )}
    </li>
  );
}

function Setup({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const tags = Object.entries(endpoint.tags);
  return (
    <Panel title={t("endpoints.setup")}>
      <Facts columns={2}>
        <Fact term={t("endpoints.tracing")}>
          {endpoint.usage_tracking && endpoint.experiment ? (
            <Link to="/traces" search={{ experiment_id: [endpoint.experiment.id] }}>
              {endpoint.experiment.name}
            </Link>
          ) : (
            t(endpoint.usage_tracking ? "endpoints.traced" : "endpoints.untraced")
          )}
        </Fact>
        <Fact term={t("endpoints.content")}>
          {endpoint.usage_tracking ? t(`endpoints.contents.${endpoint.settings.content ?? "full"}`) : "–"}
        </Fact>
        <Fact term={t("endpoints.timeouts")}>
          {summaryOf({ settings: endpoint.settings, maxAttempts: endpoint.max_attempts }, t)}
        </Fact>
        <Fact term={t("endpoints.aliases")}>
          {endpoint.aliases.length ? <span className="mono">{endpoint.aliases.join(", ")}</span> : "–"}
        </Fact>
        <Fact term={t("endpoints.tags")}>
          {tags.length ? tags.map(([key, value]) => (value ? `${key}: ${value}` : key)).join(", ") : "–"}
        </Fact>
        <Fact term={t("endpoints.createdAt")}>
          <Time at={endpoint.created_at} /> {endpoint.created_by && t("endpoints.by", { who: endpoint.created_by })}
        </Fact>
        <Fact term={t("endpoints.updatedAt")}>
          <Time at={endpoint.updated_at} /> {endpoint.updated_by && t("endpoints.by", { who: endpoint.updated_by })}
        </Fact>
      </Facts>
    </Panel>
  );
}
