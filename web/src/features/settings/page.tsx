import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { serverQuery } from "@/api/server";
import { sessionQuery } from "@/api/session";
import { statusQuery } from "@/api/status";
import { Callout, LoadFailed } from "@/shared/ui/callout";
import { Page, Skeleton } from "@/shared/ui/page";
import { Tabs } from "@/shared/ui/tabs";

import { Health } from "./health";
import { RetentionTab } from "./retention";
import { SettingsTable } from "./settings-table";
import { Storage } from "./storage";

const TABS = ["health", "retention", "storage", "settings"] as const;

/** The gateway itself: how it is, what it keeps and for how long, and what it was told to be. */
export function SettingsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const said = useSearch({ strict: false }).tab;
  const tab = TABS.find((one) => one === said) ?? "health";
  const { data: session } = useQuery(sessionQuery);
  const admin = session?.role === "admin";
  const { data: status } = useQuery(statusQuery);
  const { data: server, error } = useQuery({ ...serverQuery, enabled: admin });

  return (
    <Page title={t("settings.title")} description={t("settings.description")}>
      {status && !status.ok && (
        <Callout tone="warn" title={t("app.degraded", { count: status.degraded.length })}>
          <ul>
            {status.degraded.map((what) => (
              <li key={what}>{what}</li>
            ))}
          </ul>
        </Callout>
      )}
      {session && !admin && <Callout tone="info">{t("settings.adminsOnly")}</Callout>}
      {error && <LoadFailed error={error} />}
      {admin && !server && !error && <Skeleton height="420px" />}
      {server && (
        <Tabs
          label={t("settings.title")}
          selected={tab}
          onSelect={(chosen) =>
            void navigate({ to: "/settings", search: chosen === "health" ? {} : { tab: chosen }, replace: true })
          }
          tabs={[
            { id: "health", title: t("settings.tabs.health"), content: <Health server={server} /> },
            { id: "retention", title: t("settings.tabs.retention"), content: <RetentionTab /> },
            { id: "storage", title: t("settings.tabs.storage"), content: <Storage /> },
            {
              id: "settings",
              title: t("settings.tabs.settings"),
              content: <SettingsTable settings={server.settings} />,
            },
          ]}
        />
      )}
    </Page>
  );
}
