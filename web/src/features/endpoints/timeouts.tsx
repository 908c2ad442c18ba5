import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";

import { Select } from "@/shared/ui/choice";
import { NumberField } from "@/shared/ui/number-field";

import type { Draft, Faults } from "./form";
import styles from "./form.module.css";

export const TIMEOUTS = ["connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout"] as const;
const LEAVE = "leave"; // as the provider's row says

/** What is set of it, for the head of the section that is shut. */
export function summaryOf({ settings, maxAttempts }: Pick<Draft, "settings" | "maxAttempts">, t: TFunction): string {
  const said = TIMEOUTS.flatMap((name) => {
    const seconds = settings[name];
    return seconds == null ? [] : [t(`endpoints.timeoutNames.${name}`) + ` ${seconds} s`];
  });
  if (maxAttempts !== null) said.push(t("endpoints.attempts", { count: maxAttempts }));
  if (settings.client_gone) said.push(t(`endpoints.clientGone.${settings.client_gone}`));
  return said.join(", ") || t("endpoints.serversTimeouts");
}

export function Timeouts({
  draft,
  onChange,
  faults,
}: {
  draft: Draft;
  onChange: (changes: Partial<Draft>, ...fields: readonly string[]) => void;
  faults: Faults;
}) {
  const { t } = useTranslation();
  const { settings } = draft;
  return (
    <div className={styles.stackL}>
      <div className={styles.grid}>
        {TIMEOUTS.map((name) => (
          <NumberField
            key={name}
            label={t(`endpoints.timeoutNames.${name}`)}
            description={t(`endpoints.timeoutHints.${name}`)}
            unit="s"
            minValue={0}
            formatOptions={{ maximumFractionDigits: 3 }}
            placeholder={t("endpoints.serversSetting")}
            value={settings[name] ?? Number.NaN}
            onChange={(seconds) =>
              onChange(
                { settings: { ...settings, [name]: Number.isNaN(seconds) ? null : seconds } },
                `settings.${name}`,
              )
            }
            error={faults[`settings.${name}`]}
          />
        ))}
        <NumberField
          label={t("endpoints.maxAttempts")}
          description={t("endpoints.maxAttemptsHint")}
          minValue={1}
          formatOptions={{ maximumFractionDigits: 0 }}
          placeholder={t("endpoints.eachOnce")}
          value={draft.maxAttempts ?? Number.NaN}
          onChange={(most) => onChange({ maxAttempts: Number.isNaN(most) ? null : most }, "max_attempts")}
          error={faults.max_attempts}
        />
        <Select
          label={t("endpoints.clientGoneLabel")}
          description={t("endpoints.clientGoneHint")}
          value={settings.client_gone ?? LEAVE}
          options={([LEAVE, "close", "drain"] as const).map((value) => ({
            value,
            label: t(`endpoints.clientGone.${value}`),
          }))}
          onChange={(said) =>
            onChange({ settings: { ...settings, client_gone: said === LEAVE ? null : said } }, "settings.client_gone")
          }
          error={faults["settings.client_gone"]}
        />
      </div>
    </div>
  );
}
