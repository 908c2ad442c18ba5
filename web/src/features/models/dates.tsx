import { useTranslation } from "react-i18next";

import { TextField } from "@/shared/ui/field";

/** From when to when an override holds. `faults`: by the API's names. */
export function Dates({
  from,
  to,
  onChange,
  faults,
}: {
  from: string;
  to: string;
  onChange: (changed: { from?: string; to?: string }) => void;
  faults: Readonly<Record<string, string>>;
}) {
  const { t } = useTranslation();
  return (
    <>
      <TextField
        type="datetime-local"
        label={t("models.from")}
        description={t("models.fromHint")}
        value={from}
        onChange={(value) => onChange({ from: value })}
        error={faults.effective_from}
      />
      <TextField
        type="datetime-local"
        label={t("models.to")}
        description={t("models.toHint")}
        value={to}
        onChange={(value) => onChange({ to: value })}
        error={faults.effective_to}
      />
    </>
  );
}
