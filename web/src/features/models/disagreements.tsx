import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { priceCheckQuery } from "@/api/prices";
import { count, price, short } from "@/shared/format/numbers";
import { Badge } from "@/shared/ui/badge";
import { LoadFailed } from "@/shared/ui/callout";
import { Switch } from "@/shared/ui/switch";
import { Empty, Panel, Skeleton } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";

import styles from "./page.module.css";

const SHOWN = 200;

/** Where the two sources of prices differ: one of them is wrong, and the bill follows the first. */
export function Disagreements() {
  const { t } = useTranslation();
  const [inUse, setInUse] = useState(true);
  const { data, error } = useQuery(priceCheckQuery(inUse));
  return (
    <div className={styles.tab}>
      <div className={styles.filters}>
        <Switch label={t("models.onlyInUse")} isSelected={inUse} onChange={setInUse} />
        {data && (
          <span className="muted numbers">
            {t("models.checked", {
              agreed: count(data.agreed),
              count: data.disagreements.length,
              first: data.source,
              second: data.other_source,
            })}
          </span>
        )}
      </div>
      {error && <LoadFailed error={error} />}
      {!data ? (
        !error && <Skeleton height="240px" />
      ) : (
        <Panel flush>
          {data.disagreements.length === 0 ? (
            <Empty title={t("models.agree")}>{t("models.agreeText")}</Empty>
          ) : (
            <Table label={t("models.tabs.disagreements")}>
              <TableHeader>
                <Column isRowHeader>{t("models.model")}</Column>
                <Column>{t("models.provider")}</Column>
                <Column>{t("models.tokens")}</Column>
                <Column numeric>{data.source}</Column>
                <Column numeric>{data.other_source}</Column>
              </TableHeader>
              <TableBody
                items={data.disagreements
                  .slice(0, SHOWN)
                  .map((one) => ({ ...one, id: `${one.price_id}/${one.token_class}/${one.above}/${one.other_model}` }))}
              >
                {(one) => (
                  <Row id={one.id}>
                    <Cell>
                      <div className={styles.name}>
                        {one.model}
                        {one.in_use && <Badge tone="accent">{t("models.inUse")}</Badge>}
                      </div>
                    </Cell>
                    <Cell>{one.provider}</Cell>
                    <Cell>
                      {one.token_class}
                      {one.above > 0 && (
                        <span className="faint"> {t("models.above", { tokens: short(one.above) })}</span>
                      )}
                    </Cell>
                    <Cell numeric>{price(one.usd)}</Cell>
                    <Cell numeric>
                      <div>{price(one.other_usd)}</div>
                      {one.other_model !== one.model && <span className="mono faint">{one.other_model}</span>}
                    </Cell>
                  </Row>
                )}
              </TableBody>
            </Table>
          )}
        </Panel>
      )}
      {data && data.disagreements.length > SHOWN && (
        <p className="faint">{t("models.moreDisagreements", { count: data.disagreements.length - SHOWN })}</p>
      )}
    </div>
  );
}
