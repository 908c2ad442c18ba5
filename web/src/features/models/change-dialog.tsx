import { useMutation } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { ApiProblem } from "@/api/client";
import { changeOverride, type Override } from "@/api/prices";
import { Button } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Dialog } from "@/shared/ui/dialog";
import { TextField } from "@/shared/ui/field";
import { done } from "@/shared/ui/toast";

import { Dates } from "./dates";
import { changesOf, namedOf } from "./override";
import styles from "./page.module.css";

const FORM = "change-override-form";

/** The name of an override, and its time: so is one ended that was right until today. */
export function ChangeDialog({ override, onClose }: { override: Override; onClose: () => void }) {
  const { t } = useTranslation();
  const [form, setForm] = useState(() => namedOf(override));
  const set = (changes: Partial<typeof form>) => setForm((now) => ({ ...now, ...changes }));
  const saving = useMutation({
    mutationFn: () => changeOverride(override.override_id, changesOf(form, override)),
    onSuccess: () => {
      done(t("models.overrideSaved", { name: form.name.trim() }));
      onClose();
    },
  });
  const fields = saving.error instanceof ApiProblem ? saving.error.fields : {};
  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    saving.mutate();
  }
  return (
    <Dialog
      title={t("models.changeOverride", { name: override.name })}
      isOpen
      isDismissable={false}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button type="submit" form={FORM} look="primary" isPending={saving.isPending} isDisabled={!form.name.trim()}>
            {t("models.saveChanges")}
          </Button>
        </>
      }
    >
      <form id={FORM} className={styles.form} onSubmit={submit}>
        {saving.error && Object.keys(fields).length === 0 && (
          <Callout tone="bad">{saving.error.message || t("problems.network")}</Callout>
        )}
        <p className="muted">{t("models.changeText")}</p>
        <TextField
          label={t("models.name")}
          value={form.name}
          onChange={(name) => set({ name })}
          error={fields.name}
          autoFocus
        />
        <div className={styles.pair}>
          <Dates from={form.from} to={form.to} onChange={set} faults={fields} />
        </div>
      </form>
    </Dialog>
  );
}
