import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Ban, Ellipsis, KeyRound, Pencil, Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { endpointsQuery } from "@/api/endpoints";
import { type Key, keysQuery, revokeKey } from "@/api/keys";
import { sessionQuery } from "@/api/session";
import { Time, when } from "@/shared/format/time";
import { TypedSearch } from "@/shared/typed-search";
import { Ask } from "@/shared/ui/ask";
import { Badge } from "@/shared/ui/badge";
import { Button, IconButton } from "@/shared/ui/button";
import { Callout, LoadFailed } from "@/shared/ui/callout";
import { Switch } from "@/shared/ui/switch";
import { Menu, MenuItem } from "@/shared/ui/menu";
import { Empty, Page, Panel, Skeleton } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";

import { KeyDialog } from "./dialog";
import { stateOf } from "./form";
import styles from "./page.module.css";

type Search = { q: string; ended: boolean };

function parse(search: Readonly<Record<string, unknown>>): Search {
  return { q: typeof search.q === "string" ? search.q : "", ended: search.ended === true };
}

/** Who may call what, and whose name is on the bill. */
export function KeysPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const search = parse(useSearch({ strict: false }));
  const show = (changes: Partial<Search>) => {
    const { q, ended } = { ...search, ...changes };
    void navigate({ to: "/keys", search: { ...(q && { q }), ...(ended && { ended }) }, replace: true });
  };
  const { data: session } = useQuery(sessionQuery);
  const admin = session?.role === "admin";
  const { data: keys, error } = useQuery({ ...keysQuery(search.ended), enabled: admin });
  const { data: endpoints } = useQuery(endpointsQuery);
  const [editing, setEditing] = useState<Key | "new" | null>(null);
  const [revoking, setRevoking] = useState<Key | null>(null);

  const sought = search.q.toLowerCase();
  const found = (keys ?? []).filter((key) =>
    [key.name, key.owner, key.team, ...Object.values(key.tags)].some((text) => text?.toLowerCase().includes(sought)),
  );
  const nameOf = (id: string) =>
    endpoints?.find((endpoint) => endpoint.endpoint_id === id)?.name ?? t("keys.goneEndpoint");
  const create = (
    <Button look="primary" icon={<Plus />} onPress={() => setEditing("new")} isDisabled={!admin}>
      {t("keys.create")}
    </Button>
  );

  return (
    <Page title={t("keys.title")} description={t("keys.description")} actions={create}>
      {session && !admin && <Callout tone="info">{t("keys.adminsOnly")}</Callout>}
      {admin && (
        <div className={styles.filters}>
          <div className={styles.search}>
            <TypedSearch
              label={t("keys.search")}
              value={search.q}
              maxLength={500}
              focusedBySlash
              onSearch={(q) => show({ q })}
            />
          </div>
          <Switch label={t("keys.ended")} isSelected={search.ended} onChange={(ended) => show({ ended })} />
        </div>
      )}
      {error && <LoadFailed error={error} />}
      {!keys ? (
        admin && !error && <Skeleton height="320px" />
      ) : keys.length === 0 ? (
        <Panel>
          <Empty icon={<KeyRound />} title={t("keys.empty")} action={create}>
            {t("keys.emptyText")}
          </Empty>
        </Panel>
      ) : (
        <Panel flush>
          <Table label={t("keys.title")}>
            <TableHeader>
              <Column isRowHeader>{t("keys.name")}</Column>
              <Column>{t("keys.role")}</Column>
              <Column>{t("keys.whose")}</Column>
              <Column>{t("keys.endpoints")}</Column>
              <Column>{t("keys.lastUsed")}</Column>
              <Column>{t("keys.state")}</Column>
              <Column>
                <span className="visually-hidden">{t("keys.actions")}</span>
              </Column>
            </TableHeader>
            <TableBody
              items={found.map((key) => ({ ...key, id: key.key_id }))}
              renderEmptyState={() => <Empty title={t("keys.noneFound")} />}
              dependencies={[endpoints]}
            >
              {(key) => (
                <Row id={key.id}>
                  <Cell>
                    <div className={styles.name}>{key.name}</div>
                    <span className={`mono faint ${styles.hint ?? ""}`}>{key.hint}</span>
                  </Cell>
                  <Cell>{t(`keys.roles.${key.role}`)}</Cell>
                  <Cell>
                    <div>{key.owner ?? <span className="faint">{t("keys.nobody")}</span>}</div>
                    {key.team !== null && <span className="muted">{key.team}</span>}
                  </Cell>
                  <Cell>
                    {key.endpoints === null ? (
                      <span className="muted">{t("keys.all")}</span>
                    ) : (
                      <span className={styles.scope} title={key.endpoints.map(nameOf).join("\n")}>
                        {t("keys.some", {
                          count: key.endpoints.length,
                          first: nameOf(key.endpoints[0] ?? ""),
                          more: key.endpoints.length - 1,
                        })}
                      </span>
                    )}
                  </Cell>
                  <Cell>
                    <Time at={key.last_used_at} />
                  </Cell>
                  <Cell>
                    <State of={key} />
                  </Cell>
                  <Cell numeric>
                    {admin && key.revoked_at === null && (
                      <Menu
                        label={t("keys.actionsOf", { name: key.name })}
                        trigger={<IconButton label={t("keys.actionsOf", { name: key.name })} icon={<Ellipsis />} />}
                      >
                        <MenuItem icon={<Pencil />} onAction={() => setEditing(key)}>
                          {t("keys.edit")}
                        </MenuItem>
                        <MenuItem icon={<Ban />} danger onAction={() => setRevoking(key)}>
                          {t("keys.revoke")}
                        </MenuItem>
                      </Menu>
                    )}
                  </Cell>
                </Row>
              )}
            </TableBody>
          </Table>
        </Panel>
      )}
      {editing !== null && <KeyDialog ofKey={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
      {revoking !== null && <Revoke ofKey={revoking} onClose={() => setRevoking(null)} />}
    </Page>
  );
}

function State({ of: key }: { of: Key }) {
  const { t } = useTranslation();
  const [now] = useState(() => Date.now());
  const state = stateOf(key, now);
  const ends = key.expires_at === null ? null : when(key.expires_at);
  return (
    <span className={styles.state}>
      <Badge tone={state === "active" ? "good" : "neutral"} dot>
        {t(`keys.states.${state}`)}
      </Badge>
      {state === "active" && ends !== null && (
        <span className="faint" title={ends}>
          {t("keys.until")} <Time at={key.expires_at} />
        </span>
      )}
    </span>
  );
}

function Revoke({ ofKey: key, onClose }: { ofKey: Key; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Ask
      title={t("keys.revokeTitle", { name: key.name })}
      action={t("keys.revoke")}
      act={() => revokeKey(key.key_id)}
      said={t("keys.revoked", { name: key.name })}
      onClose={onClose}
    >
      <p>{t("keys.revokeText")}</p>
    </Ask>
  );
}
