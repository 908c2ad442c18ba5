import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { knownModelsQuery } from "@/api/catalog";
import { providersQuery } from "@/api/providers";
import { count, price, short } from "@/shared/format/numbers";
import { TypedSearch } from "@/shared/typed-search";
import { Badge } from "@/shared/ui/badge";
import { LoadFailed } from "@/shared/ui/callout";
import { Select } from "@/shared/ui/choice";
import { Empty, Panel, Skeleton } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";

import styles from "./page.module.css";
import type { Search } from "./search";

const ANY = "any";

/** Models to choose from, with limits and prices. The first fifty: a search finds the rest. */
export function Known({ search, onShow }: { search: Search; onShow: (changes: Partial<Search>) => void }) {
  const { t } = useTranslation();
  const { data: providers, isPending: waiting } = useQuery(providersQuery);
  const { data, error } = useQuery(knownModelsQuery(search.provider, search.q));
  const title = (name: string) => providers?.find((one) => one.name === name)?.title ?? name;
  return (
    <div className={styles.tab}>
      <div className={styles.filters}>
        <div className={styles.search}>
          <TypedSearch
            label={t("models.search")}
            value={search.q}
            maxLength={500}
            focusedBySlash
            onSearch={(q) => onShow({ q })}
          />
        </div>
        <Select
          label={t("models.provider")}
          hideLabel
          value={search.provider ?? ANY}
          options={[
            { value: ANY, label: t("models.anyProvider") },
            ...(providers ?? []).map((one) => ({ value: one.name, label: one.title })),
          ]}
          onChange={(provider) => onShow({ provider: provider === ANY ? null : provider })}
        />
        {data && <span className="muted numbers">{t("models.found", { count: data.total })}</span>}
      </div>
      <p className="faint">{t("models.perMillion")}</p>
      {error && <LoadFailed error={error} />}
      {!data || waiting ? (
        !error && <Skeleton height="480px" />
      ) : (
        <Panel flush>
          <Table label={t("models.tabs.models")}>
            <TableHeader>
              <Column isRowHeader>{t("models.model")}</Column>
              <Column>{t("models.provider")}</Column>
              <Column numeric>{t("models.context")}</Column>
              <Column>{t("models.takes")}</Column>
              <Column numeric>{t("models.input")}</Column>
              <Column numeric>{t("models.cached")}</Column>
              <Column numeric>{t("models.output")}</Column>
              <Column>{t("models.priceFrom")}</Column>
            </TableHeader>
            <TableBody
              items={data.models.map((model) => ({ ...model, id: `${model.provider}/${model.model}` }))}
              renderEmptyState={() => <Empty title={t("models.noneFound")}>{t("models.noneFoundText")}</Empty>}
              dependencies={[providers]}
            >
              {(model) => (
                <Row id={model.id}>
                  <Cell>
                    <div className={styles.name}>
                      {model.title}
                      {model.status !== null && (
                        <Badge tone={model.status === "deprecated" ? "warn" : "info"}>{model.status}</Badge>
                      )}
                      {model.model_definitions.length > 0 && (
                        <Badge tone="accent">{t("models.used", { count: model.model_definitions.length })}</Badge>
                      )}
                    </div>
                    <span className="mono faint">{model.model}</span>
                  </Cell>
                  <Cell>{title(model.provider)}</Cell>
                  <Cell numeric>
                    <span title={count(model.context_window)}>{short(model.context_window)}</span>
                  </Cell>
                  <Cell>
                    <span className="muted">{model.input.join(", ") || "–"}</span>
                  </Cell>
                  <Cell numeric>{price(model.price?.input)}</Cell>
                  <Cell numeric>{price(model.price?.cache_read)}</Cell>
                  <Cell numeric>{price(model.price?.output)}</Cell>
                  <Cell>
                    {model.price === null ? (
                      <span className="faint">{t("models.noPrice")}</span>
                    ) : model.price.overridden ? (
                      <Badge tone="accent">{t("models.overridden")}</Badge>
                    ) : (
                      <span className={`muted ${styles.nowrap ?? ""}`}>{t("models.book")}</span>
                    )}
                  </Cell>
                </Row>
              )}
            </TableBody>
          </Table>
        </Panel>
      )}
    </div>
  );
}
