import { useQuery } from "@tanstack/react-query";
import { RefreshCw } from "lucide-react";
import { useTranslation } from "react-i18next";

import { sizeQuery } from "@/api/server";
import { bytes, count } from "@/shared/format/numbers";
import { Time } from "@/shared/format/time";
import { Button } from "@/shared/ui/button";
import { LoadFailed } from "@/shared/ui/callout";
import { Fact, Facts, Panel, Skeleton } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";

import styles from "./settings.module.css";

/** What takes the room, what of it has outlived its period, and how it grows. */
export function Storage() {
  const { t } = useTranslation();
  const { data, error, refetch, isFetching } = useQuery(sizeQuery);
  if (!data) return error ? <LoadFailed error={error} /> : <Skeleton height="480px" />;
  return (
    <div className={styles.tab}>
      {error && <LoadFailed error={error} />}
      <Panel
        title={t("settings.database")}
        actions={
          <Button size="s" icon={<RefreshCw />} isPending={isFetching} onPress={() => void refetch()}>
            {t("settings.countAgain")}
          </Button>
        }
      >
        <Facts columns={3}>
          <Fact term={t("settings.size")}>{bytes(data.bytes)}</Fact>
          <Fact term={t("settings.free")}>{bytes(data.free)}</Fact>
          <Fact term={t("settings.journalFiles")}>{bytes(data.journals)}</Fact>
          <Fact term={t("settings.perDay")}>{count(Math.round(data.calls_per_day))}</Fact>
          <Fact term={t("settings.growth")}>{t("settings.aDay", { size: bytes(data.bytes_per_day) })}</Fact>
        </Facts>
      </Panel>
      <Panel flush title={t("settings.parts")} description={data.bytes_estimated ? t("settings.aboutSo") : undefined}>
        <Table label={t("settings.parts")}>
          <TableHeader>
            <Column isRowHeader>{t("settings.part")}</Column>
            <Column numeric>{t("settings.rows")}</Column>
            <Column numeric>{t("settings.size")}</Column>
            <Column>{t("settings.oldest")}</Column>
            <Column numeric>{t("settings.due")}</Column>
          </TableHeader>
          <TableBody items={data.parts.map((one) => ({ ...one, id: one.kind }))}>
            {(one) => (
              <Row id={one.id}>
                <Cell>{t(`settings.partNames.${one.kind}`)}</Cell>
                <Cell numeric>{count(one.rows)}</Cell>
                <Cell numeric>{bytes(one.bytes)}</Cell>
                <Cell>
                  <Time at={one.oldest} />
                </Cell>
                <Cell numeric>{count(one.due_rows)}</Cell>
              </Row>
            )}
          </TableBody>
        </Table>
      </Panel>
      <Panel flush title={t("settings.tables")}>
        <Table label={t("settings.tables")}>
          <TableHeader>
            <Column isRowHeader>{t("settings.table")}</Column>
            <Column numeric>{t("settings.rows")}</Column>
            <Column numeric>{t("settings.size")}</Column>
          </TableHeader>
          <TableBody items={data.tables.map((one) => ({ ...one, id: one.name }))}>
            {(one) => (
              <Row id={one.id}>
                <Cell>
                  <span className="mono">{one.name}</span>
                </Cell>
                <Cell numeric>{count(one.rows)}</Cell>
                <Cell numeric>{bytes(one.bytes)}</Cell>
              </Row>
            )}
          </TableBody>
        </Table>
      </Panel>
    </div>
  );
}
