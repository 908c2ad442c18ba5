import { useMutation, useQuery } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { ApiProblem } from "@/api/client";
import { endpointsQuery } from "@/api/endpoints";
import { createOverride } from "@/api/prices";
import { providersQuery } from "@/api/providers";
import { secretsQuery } from "@/api/secrets";
import { Button, Segmented } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Dialog } from "@/shared/ui/dialog";
import { Select } from "@/shared/ui/choice";
import { TextField } from "@/shared/ui/field";
import { done } from "@/shared/ui/toast";

import { Dates } from "./dates";
import { askedOf, EMPTY, type OverrideForm, RATES } from "./override";
import styles from "./page.module.css";

const FORM = "override-form";
const ANY = "any";

export function OverrideDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [form, setForm] = useState<OverrideForm>(EMPTY);
  const set = (changes: Partial<OverrideForm>) => setForm((now) => ({ ...now, ...changes }));
  const { data: endpoints } = useQuery(endpointsQuery);
  const { data: secrets } = useQuery(secretsQuery);
  const { data: providers } = useQuery(providersQuery);
  const saving = useMutation({
    mutationFn: () => createOverride(askedOf(form)),
    onSuccess: () => {
      done(t("models.overrideSaved", { name: form.name.trim() }));
      onClose();
    },
  });
  const fields = saving.error instanceof ApiProblem ? saving.error.fields : {};
  const any = { value: ANY, label: t("models.any") };
  const chosen = (value: string) => (value === ANY ? null : value);
  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    saving.mutate();
  }
  return (
    <Dialog
      title={t("models.createOverride")}
      isOpen
      isDismissable={false}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button type="submit" form={FORM} look="primary" isPending={saving.isPending} isDisabled={!form.name.trim()}>
            {t("models.createOverride")}
          </Button>
        </>
      }
    >
      <form id={FORM} className={styles.form} onSubmit={submit}>
        {saving.error && Object.keys(fields).length === 0 && (
          <Callout tone="bad">{saving.error.message || t("problems.network")}</Callout>
        )}
        <TextField
          label={t("models.name")}
          value={form.name}
          onChange={(name) => set({ name })}
          error={fields.name}
          autoFocus
        />
        <div className={styles.pair}>
          <Select
            label={t("models.endpoint")}
            value={form.endpoint ?? ANY}
            options={[any, ...(endpoints ?? []).map((one) => ({ value: one.endpoint_id, label: one.name }))]}
            onChange={(value) => set({ endpoint: chosen(value) })}
          />
          <Select
            label={t("models.credential")}
            value={form.secret ?? ANY}
            options={[any, ...(secrets ?? []).map((one) => ({ value: one.secret_id, label: one.name }))]}
            onChange={(value) => set({ secret: chosen(value) })}
          />
          <Select
            label={t("models.provider")}
            value={form.provider ?? ANY}
            options={[any, ...(providers ?? []).map((one) => ({ value: one.name, label: one.title }))]}
            onChange={(value) => set({ provider: chosen(value) })}
          />
          <TextField
            label={t("models.model")}
            description={t("models.modelHint")}
            value={form.model}
            onChange={(model) => set({ model })}
            error={fields.model}
            mono
          />
          <Dates from={form.from} to={form.to} onChange={set} faults={fields} />
        </div>
        <Segmented
          label={t("models.says")}
          value={form.kind}
          options={[
            { value: "multiplier", label: t("models.multiplier") },
            { value: "rates", label: t("models.rates") },
          ]}
          onChange={(kind) => set({ kind })}
        />
        {form.kind === "multiplier" ? (
          <TextField
            label={t("models.multiplier")}
            description={t("models.multiplierHint")}
            inputMode="decimal"
            value={form.multiplier}
            onChange={(multiplier) => set({ multiplier })}
            error={fields.multiplier}
          />
        ) : (
          <div className={styles.pair}>
            {RATES.map((rate) => (
              <TextField
                key={rate}
                label={t(`models.rate.${rate}`)}
                description={t("models.rateHint")}
                inputMode="decimal"
                value={form.rates[rate]}
                onChange={(usd) => set({ rates: { ...form.rates, [rate]: usd } })}
                error={fields[`rates.${rate}`] ?? (rate === RATES[0] ? fields.rates : undefined)}
              />
            ))}
          </div>
        )}
      </form>
    </Dialog>
  );
}
