import { useMutation, useQueries, useQuery } from "@tanstack/react-query";
import { type SubmitEvent, useDeferredValue, useState } from "react";
import { useTranslation } from "react-i18next";

import { ApiProblem, atLarge } from "@/api/client";
import { endpointsQuery } from "@/api/endpoints";
import { experimentQuery, experimentsQuery } from "@/api/experiments";
import { changeKey, createKey, type Key, type KeyMade } from "@/api/keys";
import { SomeOf } from "@/shared/pickers/some-of";
import { Tags } from "@/shared/pickers/tags";
import { Button } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Code } from "@/shared/ui/copy";
import { Dialog } from "@/shared/ui/dialog";
import { Select } from "@/shared/ui/choice";
import { TextField } from "@/shared/ui/field";
import { Switch } from "@/shared/ui/switch";
import { done } from "@/shared/ui/toast";

import { askedOf, changesOf, EMPTY, type Form, formOf } from "./form";
import styles from "./page.module.css";

const ROLES = ["viewer", "developer", "admin"] as const;
const FORM = "key-form";
const SHOWN = ["name", "owner", "team", "expires_at"]; // what is wrong with these stands beside them

/** Makes a key, or changes what is said of one. A new key is shown here, once. */
export function KeyDialog({ ofKey, onClose }: { ofKey: Key | null; onClose: () => void }) {
  const { t } = useTranslation();
  const [form, setForm] = useState<Form>(ofKey ? formOf(ofKey) : EMPTY);
  const [made, setMade] = useState<KeyMade | null>(null);
  const set = (changes: Partial<Form>) => setForm((now) => ({ ...now, ...changes }));
  const { data: endpoints } = useQuery(endpointsQuery);
  const [words, setWords] = useState("");
  const { data: experiments } = useQuery(experimentsQuery({ q: useDeferredValue(words) }));
  const chosen = useQueries({ queries: (form.experiments ?? []).map((id) => experimentQuery(id)) });
  const known = [...(experiments?.experiments ?? []), ...chosen.flatMap(({ data }) => data ?? [])];
  const saving = useMutation({
    mutationFn: async () => {
      if (ofKey === null) return createKey(askedOf(form));
      await changeKey(ofKey.key_id, changesOf(form, ofKey));
      return null;
    },
    gcTime: 0, // the key is forgotten with the dialog
    onSuccess: (key) => {
      if (key) setMade(key);
      else {
        done(t("keys.saved", { name: form.name }));
        onClose();
      }
    },
  });
  const fields = saving.error instanceof ApiProblem ? saving.error.fields : {};
  const problem = atLarge(saving.error, SHOWN);

  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    saving.mutate();
  }

  if (made)
    return (
      <Dialog
        title={t("keys.madeTitle", { name: made.name })}
        isOpen
        isDismissable={false}
        onClose={onClose}
        footer={
          <Button look="primary" onPress={onClose}>
            {t("keys.madeDone")}
          </Button>
        }
      >
        <Callout tone="warn">{t("keys.madeText")}</Callout>
        <Code text={made.key} label={t("keys.key")} wrap />
        <p className="muted">{t("keys.madeUse")}</p>
      </Dialog>
    );
  return (
    <Dialog
      title={ofKey ? t("keys.editTitle", { name: ofKey.name }) : t("keys.createTitle")}
      isOpen
      isDismissable={false}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button type="submit" form={FORM} look="primary" isPending={saving.isPending} isDisabled={!form.name.trim()}>
            {ofKey ? t("keys.save") : t("keys.create")}
          </Button>
        </>
      }
    >
      <form id={FORM} className={styles.form} onSubmit={submit}>
        {problem && <Callout tone="bad">{problem.message || t("problems.network")}</Callout>}
        <TextField
          label={t("keys.name")}
          description={t("keys.nameHint")}
          error={fields.name}
          value={form.name}
          onChange={(name) => set({ name })}
          isDisabled={ofKey !== null}
          autoFocus={ofKey === null}
        />
        <Select
          label={t("keys.role")}
          value={form.role}
          options={ROLES.map((role) => ({
            value: role,
            label: t(`keys.roles.${role}`),
            detail: t(`keys.roleHints.${role}`),
          }))}
          onChange={(role) => set({ role })}
        />
        <div className={styles.pair}>
          <TextField
            label={t("keys.owner")}
            error={fields.owner}
            value={form.owner}
            onChange={(owner) => set({ owner })}
          />
          <TextField label={t("keys.team")} error={fields.team} value={form.team} onChange={(team) => set({ team })} />
        </div>
        <SomeOf
          label={t("keys.endpoints")}
          all={t("keys.all")}
          some={t("keys.onlyThese")}
          description={t("keys.endpointsHint")}
          options={(endpoints ?? []).map((one) => ({ id: one.endpoint_id, name: one.name }))}
          value={form.endpoints}
          onChange={(chosen) => set({ endpoints: chosen })}
        />
        <SomeOf
          label={t("keys.experiments")}
          all={t("keys.all")}
          some={t("keys.onlyThese")}
          options={[
            ...new Map(known.map((one) => [one.experiment_id, { id: one.experiment_id, name: one.name }])).values(),
          ]}
          onSearch={setWords}
          value={form.experiments}
          onChange={(chosen) => set({ experiments: chosen })}
        />
        <TextField
          type="datetime-local"
          label={t("keys.expires")}
          description={t("keys.expiresHint")}
          error={fields.expires_at}
          value={form.expires}
          onChange={(expires) => set({ expires })}
        />
        <Switch
          label={t("keys.proxy")}
          description={t("keys.proxyHint")}
          isSelected={form.proxy}
          onChange={(proxy) => set({ proxy })}
        />
        <Tags label={t("keys.tags")} rows={form.tags} onChange={(tags) => set({ tags })} />
      </form>
    </Dialog>
  );
}
