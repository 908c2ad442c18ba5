import { useQuery } from "@tanstack/react-query";
import { Pencil, Plus, Tags, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { deleteOverride, type Override, overridesQuery } from "@/api/prices";
import { price } from "@/shared/format/numbers";
import { when } from "@/shared/format/time";
import { Ask } from "@/shared/ui/ask";
import { Button, IconButton } from "@/shared/ui/button";
import { LoadFailed } from "@/shared/ui/callout";
import { Empty, Panel, Skeleton } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";

import { ChangeDialog } from "./change-dialog";
import { OverrideDialog } from "./override-dialog";
import styles from "./page.module.css";

/** What admins say against the price book: other rates, or a part of them, for some calls and some time. */
export function Overrides({ isAdmin }: { isAdmin: boolean }) {
  const { t } = useTranslation();
  const { data, error } = useQuery(overridesQuery);
  const [creating, setCreating] = useState(false);
  const [changing, setChanging] = useState<Override | null>(null);
  const [deleting, setDeleting] = useState<Override | null>(null);
  const create = (
    <Button look="primary" icon={<Plus />} isDisabled={!isAdmin} onPress={() => setCreating(true)}>
      {t("models.createOverride")}
    </Button>
  );
  return (
    <div className={styles.tab}>
      <div className={styles.between}>
        <p className="muted">{t("models.overridesText")}</p>
        {create}
      </div>
      {error && <LoadFailed error={error} />}
      {!data ? (
        !error && <Skeleton height="200px" />
      ) : (
        <Panel flush>
          {data.length === 0 ? (
            <Empty icon={<Tags />} title={t("models.noOverrides")}>
              {t("models.noOverridesText")}
            </Empty>
          ) : (
            <Table label={t("models.tabs.overrides")}>
              <TableHeader>
                <Column isRowHeader>{t("models.name")}</Column>
                <Column>{t("models.appliesTo")}</Column>
                <Column>{t("models.says")}</Column>
                <Column>{t("models.inForce")}</Column>
                <Column>
                  <span className="visually-hidden">{t("models.actions")}</span>
                </Column>
              </TableHeader>
              <TableBody items={data.map((one) => ({ ...one, id: one.override_id }))}>
                {(one) => (
                  <Row id={one.id}>
                    <Cell>
                      <span className={styles.name}>{one.name}</span>
                    </Cell>
                    <Cell>
                      <Scope of={one} />
                    </Cell>
                    <Cell>
                      <Says of={one} />
                    </Cell>
                    <Cell>
                      {one.effective_from === null ? t("models.ever") : when(one.effective_from)} –{" "}
                      {one.effective_to === null ? t("models.stays") : when(one.effective_to)}
                    </Cell>
                    <Cell numeric>
                      {isAdmin && (
                        <span className={styles.nowrap}>
                          <IconButton
                            label={t("models.changeOverride", { name: one.name })}
                            icon={<Pencil />}
                            onPress={() => setChanging(one)}
                          />
                          <IconButton
                            label={t("models.deleteOverride", { name: one.name })}
                            icon={<Trash2 />}
                            onPress={() => setDeleting(one)}
                          />
                        </span>
                      )}
                    </Cell>
                  </Row>
                )}
              </TableBody>
            </Table>
          )}
        </Panel>
      )}
      {creating && <OverrideDialog onClose={() => setCreating(false)} />}
      {changing && <ChangeDialog override={changing} onClose={() => setChanging(null)} />}
      {deleting && <Delete override={deleting} onClose={() => setDeleting(null)} />}
    </div>
  );
}

function Scope({ of: one }: { of: Override }) {
  const { t } = useTranslation();
  const parts = [
    one.endpoint_id === null ? null : t("models.scopeEndpoint", { name: one.endpoint ?? t("models.gone") }),
    one.secret_id === null ? null : t("models.scopeCredential", { name: one.secret ?? t("models.gone") }),
    one.provider,
    one.model,
  ].filter((part) => part !== null);
  return <>{parts.length === 0 ? t("models.allCalls") : parts.join(" · ")}</>;
}

function Says({ of: one }: { of: Override }) {
  const { t } = useTranslation();
  if (one.rates === null)
    return <span className="numbers">{t("models.times", { factor: one.multiplier ?? "1" })}</span>;
  return (
    <>
      {Object.entries(one.rates).map(([name, rate]) => (
        <div key={name} className="numbers">
          <span className="faint">{name}</span> {price(rate.usd)}
        </div>
      ))}
    </>
  );
}

function Delete({ override, onClose }: { override: Override; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Ask
      title={t("models.deleteOverrideTitle", { name: override.name })}
      action={t("models.deleteAction")}
      act={() => deleteOverride(override.override_id)}
      said={t("models.overrideDeleted", { name: override.name })}
      onClose={onClose}
    >
      <p>{t("models.deleteOverrideText")}</p>
    </Ask>
  );
}
