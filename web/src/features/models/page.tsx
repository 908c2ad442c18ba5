import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { RefreshCw } from "lucide-react";
import { useTranslation } from "react-i18next";

import { refreshPrices } from "@/api/prices";
import { sessionQuery } from "@/api/session";
import { statusQuery } from "@/api/status";
import { Button } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Page, Skeleton } from "@/shared/ui/page";
import { Tabs } from "@/shared/ui/tabs";
import { done } from "@/shared/ui/toast";

import { Disagreements } from "./disagreements";
import { Known } from "./known";
import { Overrides } from "./overrides";
import styles from "./page.module.css";
import { parseSearch, renderSearch, type Search } from "./search";

/** What models there are, what they cost, who says so, and what we say against it. */
export function ModelsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const search = parseSearch(useSearch({ strict: false }));
  const show = (changes: Partial<Search>) =>
    void navigate({ to: "/models", search: renderSearch({ ...search, ...changes }), replace: true });
  const { data: session } = useQuery(sessionQuery);
  const { data: status, isPending } = useQuery(statusQuery);
  const refreshing = useMutation({
    mutationFn: refreshPrices,
    onSuccess: ({ added, ended }) => done(t("models.refreshed", { added: added.length, ended: ended.length })),
  });
  const admin = session?.role === "admin";
  const unpriced = status?.prices.unpriced ?? [];
  return (
    <Page
      title={t("models.title")}
      description={t("models.edition", { edition: status?.prices.edition ?? "…" })}
      actions={
        <Button
          icon={<RefreshCw />}
          isDisabled={!admin}
          isPending={refreshing.isPending}
          onPress={() => refreshing.mutate()}
        >
          {t("models.refresh")}
        </Button>
      }
    >
      {refreshing.error && (
        <Callout tone="bad" title={t("models.refreshFailed")}>
          {refreshing.error.message || t("problems.network")}
        </Callout>
      )}
      {unpriced.length > 0 && (
        <Callout tone="warn" title={t("models.unpriced", { count: unpriced.length })}>
          <span className={styles.unpriced}>
            {unpriced.map((one) => `${one.provider} / ${one.model}`).join(", ")}. {t("models.unpricedText")}
          </span>
        </Callout>
      )}
      {isPending ? (
        <Skeleton height="560px" />
      ) : (
        <Tabs
          label={t("models.title")}
          selected={search.tab}
          onSelect={(tab) => show({ tab })}
          tabs={[
            { id: "models", title: t("models.tabs.models"), content: <Known search={search} onShow={show} /> },
            { id: "overrides", title: t("models.tabs.overrides"), content: <Overrides isAdmin={admin} /> },
            { id: "disagreements", title: t("models.tabs.disagreements"), content: <Disagreements /> },
          ]}
        />
      )}
    </Page>
  );
}
