import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import type { Setting } from "@/api/server";
import { useShortcut } from "@/shared/shortcuts";
import { Badge } from "@/shared/ui/badge";
import { SearchField } from "@/shared/ui/field";
import { Switch } from "@/shared/ui/switch";
import { Empty, Panel } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";

import styles from "./settings.module.css";

/** What it was told to be, and where. They are changed where they were said: a file, a variable, a flag. */
export function SettingsTable({ settings }: { settings: readonly Setting[] }) {
  const { t } = useTranslation();
  const [sought, setSought] = useState("");
  const [said, setSaid] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useShortcut(["/"], () => input.current?.focus());
  const found = settings.filter(
    (one) =>
      (!said || one.source !== "default") &&
      `${one.name} ${one.description} ${one.environment}`.toLowerCase().includes(sought.toLowerCase()),
  );
  return (
    <div className={styles.tab}>
      <div className={styles.filters}>
        <div className={styles.search}>
          <SearchField label={t("settings.search")} inputRef={input} value={sought} onChange={setSought} />
        </div>
        <Switch label={t("settings.onlyChanged")} isSelected={said} onChange={setSaid} />
      </div>
      <Panel flush>
        <Table label={t("settings.tabs.settings")}>
          <TableHeader>
            <Column isRowHeader>{t("settings.name")}</Column>
            <Column>{t("settings.value")}</Column>
            <Column>{t("settings.source")}</Column>
            <Column>{t("settings.saidBy")}</Column>
          </TableHeader>
          <TableBody
            items={found.map((one) => ({ ...one, id: one.name }))}
            renderEmptyState={() => <Empty title={t("settings.noneFound")} />}
          >
            {(one) => (
              <Row id={one.id}>
                <Cell>
                  <div className={styles.name}>
                    {one.name}
                    {one.fixed && <Badge>{t("settings.fixed")}</Badge>}
                  </div>
                  <span className={styles.help}>{one.description}</span>
                </Cell>
                <Cell>
                  {one.secret ? (
                    <span className="faint">{one.is_default ? t("settings.none") : t("settings.hidden")}</span>
                  ) : one.value === null ? (
                    <span className="faint">{t("settings.none")}</span>
                  ) : (
                    <span className={`mono ${styles.value ?? ""}`}>{String(one.value)}</span>
                  )}
                </Cell>
                <Cell>
                  <Badge tone={one.source === "default" ? "neutral" : "accent"}>
                    {t(`settings.sources.${one.source}`)}
                  </Badge>
                </Cell>
                <Cell>
                  <div className="mono">{one.flag}</div>
                  <div className="mono faint">{one.environment}</div>
                </Cell>
              </Row>
            )}
          </TableBody>
        </Table>
      </Panel>
    </div>
  );
}
