import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { endpointQuery, endpointsQuery } from "@/api/endpoints";
import { providersQuery } from "@/api/providers";
import { secretsQuery } from "@/api/secrets";
import { sessionQuery } from "@/api/session";
import { Callout } from "@/shared/ui/callout";
import { Page, Panel, Skeleton } from "@/shared/ui/page";
import { done } from "@/shared/ui/toast";

import { copyOf, draftOf, emptyDraft } from "./form";
import { EndpointForm } from "./endpoint-form";
import { parseNew } from "./search";
import type { Choices } from "./target-fields";

/** A new endpoint; `?from=`: one that begins as a copy. */
export function NewEndpointPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { from } = parseNew(useSearch({ strict: false }));
  const all = useQuery({ ...endpointsQuery, refetchInterval: false, enabled: from !== null });
  const source = all.data?.find((endpoint) => endpoint.name === from) ?? null;
  const missing = from !== null && all.data !== undefined && source === null;
  return (
    <FormPage
      title={from === null ? t("endpoints.newTitle") : t("endpoints.copyTitle", { name: from })}
      problem={missing ? t("endpoints.missing", { name: from }) : all.error?.message}
      isReady={from === null || source !== null}
    >
      {(choices) => (
        <EndpointForm
          key={from}
          begin={() => {
            const taken = (all.data ?? []).map(({ name }) => name);
            return source ? copyOf(source, taken) : emptyDraft();
          }}
          before={null}
          choices={choices}
          onDone={(endpoint) => {
            done(t("endpoints.created", { name: endpoint.name }));
            void navigate({ to: "/endpoints/$name", params: { name: endpoint.name } });
          }}
          onCancel={() => void navigate({ to: "/endpoints" })}
        />
      )}
    </FormPage>
  );
}

export function EditEndpointPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { name } = useParams({ from: "/shell/endpoints/$name/edit" });
  const query = useQuery(endpointQuery(name));
  const [times, setTimes] = useState(0);
  return (
    <FormPage
      title={t("endpoints.editTitle", { name })}
      above={
        <Link to="/endpoints/$name" params={{ name }}>
          {name}
        </Link>
      }
      problem={query.error?.message}
      isReady={query.data !== undefined}
    >
      {(choices) =>
        query.data && (
          <EndpointForm
            key={times}
            begin={() => draftOf(query.data)}
            before={query.data}
            choices={choices}
            onDone={(endpoint) => {
              done(t("endpoints.saved", { name: endpoint.name }));
              void navigate({ to: "/endpoints/$name", params: { name: endpoint.name } });
            }}
            onCancel={() => void navigate({ to: "/endpoints/$name", params: { name } })}
            onReload={() => void query.refetch().then(({ isSuccess }) => isSuccess && setTimes(times + 1))}
          />
        )
      }
    </FormPage>
  );
}

/** What is being written stays in sight, though what it began with could not be fetched again. */
function FormPage({
  title,
  above,
  problem,
  isReady,
  children,
}: {
  title: string;
  above?: ReactNode;
  problem: string | undefined;
  isReady: boolean;
  children: (choices: Choices) => ReactNode;
}) {
  const { t } = useTranslation();
  const { data: who } = useQuery(sessionQuery);
  const allowed = who?.role === "admin";
  const providers = useQuery(providersQuery);
  const secrets = useQuery({ ...secretsQuery, enabled: allowed });
  const error = problem ?? (providers.error ?? secrets.error)?.message;
  return (
    <Page title={title} above={above ?? <Link to="/endpoints">{t("endpoints.title")}</Link>}>
      {who && !allowed ? (
        <Callout tone="warn" title={t("endpoints.notAllowed")}>
          {t("endpoints.adminsOnly")}
        </Callout>
      ) : isReady && providers.data && secrets.data ? (
        children({ providers: providers.data, secrets: secrets.data })
      ) : error !== undefined ? (
        <Callout tone="bad" title={t("problems.loadFailed")}>
          {error || t("problems.network")}
        </Callout>
      ) : (
        <Panel>
          <Skeleton height="204px" />
        </Panel>
      )}
    </Page>
  );
}
