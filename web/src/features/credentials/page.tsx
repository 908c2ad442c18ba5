import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Ellipsis, LockKeyhole, Plus, RefreshCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { type Provider, providersQuery } from "@/api/providers";
import { deleteSecret, type Secret, secretsQuery } from "@/api/secrets";
import { sessionQuery } from "@/api/session";
import { Time } from "@/shared/format/time";
import { TypedSearch } from "@/shared/typed-search";
import { Ask } from "@/shared/ui/ask";
import { Button, IconButton } from "@/shared/ui/button";
import { Callout, LoadFailed } from "@/shared/ui/callout";
import { Menu, MenuItem } from "@/shared/ui/menu";
import { Empty, Page, Panel, Skeleton } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";

import { NewCredential, Rotate } from "./dialogs";
import styles from "./page.module.css";

/** What providers know us by: sealed, masked, replaced in place. */
export function CredentialsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { q: said } = useSearch({ strict: false });
  const q = typeof said === "string" ? said : "";
  const { data: session } = useQuery(sessionQuery);
  const admin = session?.role === "admin";
  const { data: secrets, error } = useQuery({ ...secretsQuery, enabled: admin });
  const { data: providers } = useQuery(providersQuery);
  const [creating, setCreating] = useState(false);
  const [rotating, setRotating] = useState<Secret | null>(null);
  const [deleting, setDeleting] = useState<Secret | null>(null);

  const provider = (secret: Secret) => providers?.find((one) => one.name === secret.provider);
  const sought = q.toLowerCase();
  const found = (secrets ?? []).filter((secret) =>
    [secret.name, provider(secret)?.title, secret.provider].some((text) => text?.toLowerCase().includes(sought)),
  );
  const create = (
    <Button look="primary" icon={<Plus />} isDisabled={!admin} onPress={() => setCreating(true)}>
      {t("credentials.create")}
    </Button>
  );
  return (
    <Page title={t("credentials.title")} description={t("credentials.description")} actions={create}>
      {session && !admin && <Callout tone="info">{t("credentials.adminsOnly")}</Callout>}
      {error && <LoadFailed error={error} />}
      {admin && (
        <div className={styles.search}>
          <TypedSearch
            label={t("credentials.search")}
            value={q}
            maxLength={500}
            focusedBySlash
            onSearch={(text) => void navigate({ to: "/credentials", search: text ? { q: text } : {}, replace: true })}
          />
        </div>
      )}
      {admin && !(secrets && providers) && !error && <Skeleton height="280px" />}
      {admin && providers && secrets?.length === 0 && (
        <Panel>
          <Empty icon={<LockKeyhole />} title={t("credentials.empty")} action={create}>
            {t("credentials.emptyText")}
          </Empty>
        </Panel>
      )}
      {admin && secrets && providers && secrets.length > 0 && (
        <Panel flush>
          <Table label={t("credentials.title")}>
            <TableHeader>
              <Column isRowHeader>{t("credentials.name")}</Column>
              <Column>{t("credentials.provider")}</Column>
              <Column>{t("credentials.values")}</Column>
              <Column>{t("credentials.usedBy")}</Column>
              <Column>{t("credentials.changed")}</Column>
              <Column>
                <span className="visually-hidden">{t("credentials.actions")}</span>
              </Column>
            </TableHeader>
            <TableBody
              items={found.map((secret) => ({ ...secret, id: secret.secret_id }))}
              renderEmptyState={() => <Empty title={t("credentials.noneFound")} />}
              dependencies={[providers]}
            >
              {(secret) => (
                <Row id={secret.id}>
                  <Cell>
                    <span className={styles.name}>{secret.name}</span>
                  </Cell>
                  <Cell>
                    <Where secret={secret} provider={provider(secret)} />
                  </Cell>
                  <Cell>
                    {Object.entries(secret.masked_values).map(([field, masked]) => (
                      <div key={field} className={styles.value}>
                        <span className="faint">{field}</span>{" "}
                        <span className={`mono ${styles.masked ?? ""}`}>{masked}</span>
                      </div>
                    ))}
                  </Cell>
                  <Cell>
                    <Users secret={secret} />
                  </Cell>
                  <Cell>
                    <Time at={secret.updated_at} />
                  </Cell>
                  <Cell numeric>
                    <Menu
                      label={t("credentials.actionsOf", { name: secret.name })}
                      trigger={
                        <IconButton label={t("credentials.actionsOf", { name: secret.name })} icon={<Ellipsis />} />
                      }
                    >
                      <MenuItem icon={<RefreshCw />} onAction={() => setRotating(secret)}>
                        {t("credentials.rotate")}
                      </MenuItem>
                      <MenuItem icon={<Trash2 />} danger onAction={() => setDeleting(secret)}>
                        {t("credentials.delete")}
                      </MenuItem>
                    </Menu>
                  </Cell>
                </Row>
              )}
            </TableBody>
          </Table>
        </Panel>
      )}
      {creating && providers && (
        <NewCredential
          providers={providers}
          taken={(secrets ?? []).map((secret) => secret.name)}
          onClose={() => setCreating(false)}
        />
      )}
      {rotating && <Rotate secret={rotating} provider={provider(rotating)} onClose={() => setRotating(null)} />}
      {deleting && <Delete secret={deleting} onClose={() => setDeleting(null)} />}
    </Page>
  );
}

/** The provider, how it is shown who we are, and what the secret says in the open. */
function Where({ secret, provider }: { secret: Secret; provider: Provider | undefined }) {
  const { t } = useTranslation();
  const mode = provider?.auth_modes.find((one) => one.mode === secret.auth_mode);
  const several = (provider?.auth_modes.length ?? 0) > 1;
  const open = Object.entries(secret.auth_config).filter(([name]) => name !== "auth_mode");
  return (
    <>
      <div>
        {provider?.title ?? secret.provider ?? t("credentials.anyProvider")}
        {several && mode && <span className="muted"> · {mode.title}</span>}
      </div>
      {open.map(([name, value]) => (
        <div key={name} className={styles.value}>
          <span className="faint">{name}</span> <span className="muted">{value}</span>
        </div>
      ))}
    </>
  );
}

function Users({ secret }: { secret: Secret }) {
  const { t } = useTranslation();
  if (secret.model_definitions.length === 0) return <span className="faint">{t("credentials.unused")}</span>;
  return (
    <>
      <div className={styles.users}>
        {secret.endpoints.map((endpoint) => (
          <Link key={endpoint.endpoint_id} to="/endpoints/$name" params={{ name: endpoint.name }}>
            {endpoint.name}
          </Link>
        ))}
      </div>
      <span className="muted">{t("credentials.models", { count: secret.model_definitions.length })}</span>
    </>
  );
}

function Delete({ secret, onClose }: { secret: Secret; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Ask
      title={t("credentials.deleteTitle", { name: secret.name })}
      action={t("credentials.delete")}
      act={() => deleteSecret(secret.secret_id)}
      said={t("credentials.deleted", { name: secret.name })}
      onClose={onClose}
    >
      <p>{t("credentials.deleteText")}</p>
      {secret.model_definitions.length > 0 && (
        <Callout tone="warn">
          {t("credentials.deleteUsed", { names: secret.model_definitions.map((one) => one.name).join(", ") })}
        </Callout>
      )}
    </Ask>
  );
}
