import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { Endpoint } from "@/api/endpoints";
import { providersQuery } from "@/api/providers";
import { Callout } from "@/shared/ui/callout";
import { Code } from "@/shared/ui/copy";
import { Panel } from "@/shared/ui/page";
import { Tabs } from "@/shared/ui/tabs";

import styles from "./page.module.css";
import { FORMATS, snippets, type Tool, TOOLS } from "./snippets";

/** How to call it from what people have. */
export function UseIt({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const [tool, setTool] = useState<Tool>("curl");
  const experiment = endpoint.usage_tracking ? (endpoint.experiment?.name ?? null) : null;
  const { data: providers } = useQuery(providersQuery);
  const mute = [...endpoint.primaries, ...endpoint.fallbacks].filter(
    ({ provider }) => providers?.find(({ name }) => name === provider)?.formats.includes(FORMATS[tool]) === false,
  );
  return (
    <Panel
      title={t("endpoints.useIt")}
      description={
        <>
          {t("endpoints.useItHint")} <Link to="/keys">{t("endpoints.toKeys")}</Link>
        </>
      }
    >
      <Tabs
        label={t("endpoints.useIt")}
        selected={tool}
        onSelect={setTool}
        tabs={TOOLS.map((id) => ({
          id,
          title: t(`endpoints.tools.${id}`),
          content: (
            <div className={styles.snippets}>
              {mute.length > 0 && (
                <Callout tone="warn">
                  {t("endpoints.mute", { models: [...new Set(mute.map(({ model }) => model))].join(", ") })}
                </Callout>
              )}
              {snippets(id, window.location.origin, endpoint.name, experiment).map((snippet) => (
                <div key={snippet.text} className={styles.snippet}>
                  {snippet.where !== null && <span className={styles.where}>{snippet.where}</span>}
                  <Code text={snippet.text} label={snippet.where ?? t(`endpoints.tools.${id}`)} />
                </div>
              ))}
            </div>
          ),
        }))}
      />
    </Panel>
  );
}
