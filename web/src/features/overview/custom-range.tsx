import { type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { minute } from "@/shared/format/time";
import { Button } from "@/shared/ui/button";
import { Dialog } from "@/shared/ui/dialog";
import { TextField } from "@/shared/ui/field";

import styles from "./page.module.css";
import type { View } from "./search";

export function CustomRange({
  view,
  onShow,
  onClose,
}: {
  view: View;
  onShow: (changes: Partial<View>) => void;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const [now] = useState(() => Date.now());
  const [since, setSince] = useState(minute(view.since ?? now - 86_400_000));
  const [until, setUntil] = useState(minute(view.until ?? now));
  const wrong = !(Date.parse(until) > Date.parse(since));
  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (wrong) return;
    onShow({ since: Date.parse(since), until: Date.parse(until) });
    onClose();
  }
  return (
    <Dialog title={t("overview.customRange")} size="s" isOpen onClose={onClose}>
      <form className={styles.custom} onSubmit={submit}>
        <TextField type="datetime-local" label={t("overview.since")} value={since} onChange={setSince} autoFocus />
        <TextField
          type="datetime-local"
          label={t("overview.until")}
          value={until}
          onChange={setUntil}
          error={wrong ? t("overview.wrongRange") : undefined}
        />
        <Button type="submit" look="primary" isDisabled={wrong}>
          {t("overview.show")}
        </Button>
      </form>
    </Dialog>
  );
}
