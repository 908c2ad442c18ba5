import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ArchiveRestore, Ellipsis, FlaskConical, Pencil, Plus, Trash2 } from "lucide-react";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import {
  createExperiment,
  deleteExperiment,
  type Experiment,
  experimentsQuery,
  renameExperiment,
  restoreExperiment,
} from "@/api/experiments";
import { sessionQuery } from "@/api/session";
import { count } from "@/shared/format/numbers";
import { Time } from "@/shared/format/time";
import { TypedSearch } from "@/shared/typed-search";
import { Ask } from "@/shared/ui/ask";
import { Button, IconButton, Segmented } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Dialog } from "@/shared/ui/dialog";
import { TextField } from "@/shared/ui/field";
import { Menu, MenuItem } from "@/shared/ui/menu";
import { Empty, Page, Panel, Skeleton } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";
import { done } from "@/shared/ui/toast";

import styles from "./page.module.css";
import { LIFECYCLES, parseSearch, renderSearch, type Search } from "./search";

/** Where traces are kept together: each endpoint traces into one. */
export function ExperimentsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const search = parseSearch(useSearch({ strict: false }));
  const show = (changes: Partial<Search>) =>
    void navigate({
      to: "/experiments",
      search: renderSearch({ ...search, page: null, ...changes }),
      replace: changes.page === undefined,
    });
  const { data: session } = useQuery(sessionQuery);
  const { data, error } = useQuery(
    experimentsQuery({ q: search.q, lifecycle: search.lifecycle, pageToken: search.page }),
  );
  const [naming, setNaming] = useState<Experiment | "new" | null>(null);
  const [deleting, setDeleting] = useState<Experiment | null>(null);
  const restoring = useMutation({
    mutationFn: (experiment: Experiment) => restoreExperiment(experiment.experiment_id),
    onSuccess: (_, experiment) => done(t("experiments.restored", { name: experiment.name })),
  });

  const developer = session?.role === "admin" || session?.role === "developer";
  const admin = session?.role === "admin";
  const create = (
    <Button look="primary" icon={<Plus />} isDisabled={!developer} onPress={() => setNaming("new")}>
      {t("experiments.create")}
    </Button>
  );
  const problem = error ?? restoring.error;
  return (
    <Page title={t("experiments.title")} description={t("experiments.description")} actions={create}>
      <div className={styles.filters}>
        <div className={styles.search}>
          <TypedSearch
            label={t("experiments.search")}
            value={search.q}
            maxLength={500}
            focusedBySlash
            onSearch={(q) => show({ q })}
          />
        </div>
        <Segmented
          label={t("experiments.shown")}
          value={search.lifecycle}
          options={LIFECYCLES.map((value) => ({ value, label: t(`experiments.lifecycles.${value}`) }))}
          onChange={(lifecycle) => show({ lifecycle })}
        />
      </div>
      {problem && (
        <Callout tone="bad" title={error ? t("problems.loadFailed") : t("experiments.restoreFailed")}>
          {problem.message || t("problems.network")}
        </Callout>
      )}
      {!data ? (
        !error && <Skeleton height="320px" />
      ) : data.experiments.length === 0 ? (
        <Panel>
          {search.q || search.lifecycle === "deleted" ? (
            <Empty icon={<FlaskConical />} title={t("experiments.noneFound")} />
          ) : (
            <Empty icon={<FlaskConical />} title={t("experiments.empty")} action={create}>
              {t("experiments.emptyText")}
            </Empty>
          )}
        </Panel>
      ) : (
        <Panel flush>
          <Table label={t("experiments.title")}>
            <TableHeader>
              <Column isRowHeader>{t("experiments.name")}</Column>
              <Column>{t("experiments.endpoints")}</Column>
              <Column numeric>{t("experiments.traces")}</Column>
              <Column>{t("experiments.lastTrace")}</Column>
              <Column>{t("experiments.created")}</Column>
              <Column>
                <span className="visually-hidden">{t("experiments.actions")}</span>
              </Column>
            </TableHeader>
            <TableBody items={data.experiments.map((one) => ({ ...one, id: one.experiment_id }))}>
              {(experiment) => (
                <Row id={experiment.id}>
                  <Cell>
                    {experiment.lifecycle === "active" ? (
                      <Link to="/traces" search={{ experiment_id: [experiment.experiment_id] }} className={styles.name}>
                        {experiment.name}
                      </Link>
                    ) : (
                      <span className="muted">{experiment.name}</span>
                    )}
                  </Cell>
                  <Cell>
                    <span className={styles.endpoints}>
                      {experiment.endpoints.length === 0 && <span className="faint">{t("experiments.none")}</span>}
                      {experiment.endpoints.map((endpoint) => (
                        <Link key={endpoint.endpoint_id} to="/endpoints/$name" params={{ name: endpoint.name }}>
                          {endpoint.name}
                        </Link>
                      ))}
                    </span>
                  </Cell>
                  <Cell numeric>
                    {count(experiment.traces)}
                    {experiment.more_traces && t("experiments.orMore")}
                  </Cell>
                  <Cell>
                    <Time at={experiment.last_trace_at} />
                  </Cell>
                  <Cell>
                    <Time at={experiment.created_at} />
                  </Cell>
                  <Cell numeric>
                    {admin && (
                      <Menu
                        label={t("experiments.actionsOf", { name: experiment.name })}
                        trigger={
                          <IconButton
                            label={t("experiments.actionsOf", { name: experiment.name })}
                            icon={<Ellipsis />}
                          />
                        }
                      >
                        {experiment.lifecycle === "active" ? (
                          <>
                            <MenuItem icon={<Pencil />} onAction={() => setNaming(experiment)}>
                              {t("experiments.rename")}
                            </MenuItem>
                            <MenuItem icon={<Trash2 />} danger onAction={() => setDeleting(experiment)}>
                              {t("experiments.delete")}
                            </MenuItem>
                          </>
                        ) : (
                          <MenuItem icon={<ArchiveRestore />} onAction={() => restoring.mutate(experiment)}>
                            {t("experiments.restore")}
                          </MenuItem>
                        )}
                      </Menu>
                    )}
                  </Cell>
                </Row>
              )}
            </TableBody>
          </Table>
        </Panel>
      )}
      {data?.next_page_token != null && (
        <div>
          <Button onPress={() => show({ page: data.next_page_token })}>{t("experiments.older")}</Button>
        </div>
      )}
      {naming !== null && <Name of={naming === "new" ? null : naming} onClose={() => setNaming(null)} />}
      {deleting !== null && <Delete experiment={deleting} onClose={() => setDeleting(null)} />}
    </Page>
  );
}

const FORM = "experiment-form";

function Name({ of: experiment, onClose }: { of: Experiment | null; onClose: () => void }) {
  const { t } = useTranslation();
  const [name, setName] = useState(experiment?.name ?? "");
  const saving = useMutation({
    mutationFn: async () => {
      if (experiment) await renameExperiment(experiment.experiment_id, name.trim());
      else await createExperiment(name.trim());
    },
    onSuccess: () => {
      done(t("experiments.saved", { name: name.trim() }));
      onClose();
    },
  });
  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    saving.mutate();
  }
  return (
    <Dialog
      title={experiment ? t("experiments.renameTitle", { name: experiment.name }) : t("experiments.createTitle")}
      size="s"
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button type="submit" form={FORM} look="primary" isPending={saving.isPending} isDisabled={!name.trim()}>
            {experiment ? t("experiments.rename") : t("experiments.create")}
          </Button>
        </>
      }
    >
      <form id={FORM} onSubmit={submit}>
        <TextField
          label={t("experiments.name")}
          value={name}
          onChange={setName}
          error={saving.error ? saving.error.message || t("problems.network") : undefined}
          autoFocus
        />
      </form>
    </Dialog>
  );
}

function Delete({ experiment, onClose }: { experiment: Experiment; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Ask
      title={t("experiments.deleteTitle", { name: experiment.name })}
      action={t("experiments.delete")}
      act={() => deleteExperiment(experiment.experiment_id)}
      said={t("experiments.deleted", { name: experiment.name })}
      onClose={onClose}
    >
      <p>{t("experiments.deleteText")}</p>
      {experiment.endpoints.length > 0 && (
        <Callout tone="warn">
          {t("experiments.deleteUsed", { names: experiment.endpoints.map((one) => one.name).join(", ") })}
        </Callout>
      )}
    </Ask>
  );
}
