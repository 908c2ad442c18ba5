import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { completenessQuery, type Server } from "@/api/server";
import { statusQuery } from "@/api/status";
import { bytes, count, duration } from "@/shared/format/numbers";
import { Badge } from "@/shared/ui/badge";
import { Callout } from "@/shared/ui/callout";
import { Empty, Fact, Facts, Panel, Skeleton } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";

import styles from "./settings.module.css";

/** How the gateway is: what runs, how far the database is with the journals, who rests. */
export function Health({ server }: { server: Server }) {
  const { t } = useTranslation();
  const { data: status } = useQuery(statusQuery);
  const { data: books } = useQuery(completenessQuery);
  return (
    <div className={styles.tab}>
      <Panel title={t("settings.server")}>
        <Facts columns={3}>
          <Fact term={t("settings.version")}>{server.version}</Fact>
          <Fact term={t("settings.runsOn")}>
            Python {server.python}, {server.platform}
          </Fact>
          <Fact term={t("settings.host")}>{server.host}</Fact>
          <Fact term={t("settings.up")}>{duration(server.uptime_seconds * 1000)}</Fact>
          <Fact term={t("settings.dataDir")}>
            <span className="mono">{server.data_dir}</span>
          </Fact>
          <Fact term={t("settings.database")}>
            {server.database.dialect}
            {server.database.bytes !== null && `, ${bytes(server.database.bytes)}`}{" "}
            <span className="mono faint">{server.database.place}</span>
          </Fact>
          <Fact term={t("settings.snapshot")}>
            {count(server.snapshot.published)}
            {server.snapshot.published !== server.snapshot.current && (
              <span className="faint">
                {" "}
                {t("settings.snapshotBehind", { current: count(server.snapshot.current) })}
              </span>
            )}
          </Fact>
          <Fact term={t("settings.prices")}>{status?.prices.edition ?? "–"}</Fact>
        </Facts>
      </Panel>
      <Panel
        title={t("settings.books")}
        description={t("settings.booksText")}
        actions={
          !books ? (
            <Skeleton width="140px" height="22px" />
          ) : books.missing === 0 && books.duplicates === 0 && books.aside.length === 0 ? (
            <Badge tone="good" dot>
              {t("settings.booksGood")}
            </Badge>
          ) : (
            <Badge tone="bad" dot>
              {t("settings.booksBad")}
            </Badge>
          )
        }
      >
        <Facts columns={3}>
          <Fact term={t("settings.backlog")}>{bytes(server.backlog_bytes)}</Fact>
          <Fact term={t("settings.waiting")}>
            {status
              ? status.drain.backlog_age === 0
                ? t("settings.nothingWaits")
                : duration(status.drain.backlog_age * 1000)
              : "–"}
          </Fact>
          <Fact term={t("settings.open")}>{count(books?.open_calls)}</Fact>
          <Fact term={t("settings.missing")}>{count(books?.missing)}</Fact>
          <Fact term={t("settings.duplicates")}>{count(books?.duplicates)}</Fact>
          <Fact term={t("settings.aside")}>{count(books?.aside.length)}</Fact>
        </Facts>
        {status?.drain.fault != null && <Callout tone="bad">{status.drain.fault}</Callout>}
      </Panel>
      <Panel flush title={t("settings.journals")}>
        <Table label={t("settings.journals")}>
          <TableHeader>
            <Column isRowHeader>{t("settings.process")}</Column>
            <Column>{t("settings.state")}</Column>
            <Column numeric>{t("settings.segments")}</Column>
            <Column numeric>{t("settings.backlog")}</Column>
          </TableHeader>
          <TableBody
            items={server.journals.map((one) => ({ ...one, id: one.process_id }))}
            renderEmptyState={() => <Empty title={t("settings.noJournals")} />}
          >
            {(one) => (
              <Row id={one.id}>
                <Cell>
                  <span className="mono">{one.process_id}</span>
                </Cell>
                <Cell>
                  <Badge tone={one.live ? "good" : "warn"} dot>
                    {one.live ? t("settings.live") : t("settings.orphan")}
                  </Badge>
                </Cell>
                <Cell numeric>{count(one.segments)}</Cell>
                <Cell numeric>{bytes(one.backlog_bytes)}</Cell>
              </Row>
            )}
          </TableBody>
        </Table>
      </Panel>
      <Panel flush title={t("settings.processes")}>
        <Table label={t("settings.processes")}>
          <TableHeader>
            <Column isRowHeader>{t("settings.kind")}</Column>
            <Column numeric>{t("settings.pid")}</Column>
            <Column numeric>{t("settings.memory")}</Column>
            <Column numeric>{t("settings.files")}</Column>
            <Column numeric>{t("settings.cpu")}</Column>
          </TableHeader>
          <TableBody items={server.processes.map((one) => ({ ...one, id: one.pid }))}>
            {(one) => (
              <Row id={one.id}>
                <Cell>{one.kind}</Cell>
                <Cell numeric>{one.pid}</Cell>
                <Cell numeric>{bytes(one.memory_bytes)}</Cell>
                <Cell numeric>{count(one.open_files)}</Cell>
                <Cell numeric>{one.cpu_seconds === null ? "–" : duration(one.cpu_seconds * 1000)}</Cell>
              </Row>
            )}
          </TableBody>
        </Table>
      </Panel>
      {status && status.resting.length > 0 && (
        <Panel flush title={t("settings.resting")} description={t("settings.restingText")}>
          <Table label={t("settings.resting")}>
            <TableHeader>
              <Column isRowHeader>{t("settings.model")}</Column>
              <Column>{t("settings.endpoints")}</Column>
              <Column>{t("settings.until")}</Column>
            </TableHeader>
            <TableBody items={status.resting.map((one) => ({ ...one, id: one.model_definition_id }))}>
              {(one) => (
                <Row id={one.id}>
                  <Cell>
                    {one.provider} / {one.model}
                  </Cell>
                  <Cell>
                    {one.endpoints.map((name) => (
                      <Link key={name} to="/endpoints/$name" params={{ name }}>
                        {name}
                      </Link>
                    ))}
                  </Cell>
                  <Cell>{one.seconds > 0 ? duration(one.seconds * 1000) : t("settings.trying")}</Cell>
                </Row>
              )}
            </TableBody>
          </Table>
        </Panel>
      )}
    </div>
  );
}
