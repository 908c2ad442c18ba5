import { Plus, X } from "lucide-react";
import { useTranslation } from "react-i18next";

import { Button, IconButton } from "@/shared/ui/button";
import { NumberField } from "@/shared/ui/number-field";

import {
  type Draft,
  evened,
  type Faults,
  scaled,
  sharedWith,
  sumOfShares,
  type TargetDraft,
  within,
  without,
  withOneMore,
  withShare,
} from "./form";
import styles from "./form.module.css";
import { type Choices, TargetFields } from "./target-fields";

/** Each call goes to one of these. */
export function Primaries({
  draft,
  onChange,
  choices,
  faults,
}: {
  draft: Draft;
  onChange: (primaries: readonly TargetDraft[]) => void;
  choices: Choices;
  faults: Faults;
}) {
  const { t } = useTranslation();
  const { primaries } = draft;
  const several = primaries.length > 1;
  return (
    <div className={styles.stack}>
      {primaries.map((target, place) => (
        <fieldset key={target.id} className={several ? styles.card : styles.plain}>
          <legend className="visually-hidden">{t("endpoints.primaryNo", { number: place + 1 })}</legend>
          <div className={styles.cardBody}>
            <TargetFields
              target={target}
              onChange={(changed) => onChange(primaries.map((one) => (one.id === target.id ? changed : one)))}
              choices={choices}
              shared={sharedWith(draft, target)}
              faults={within(faults, target.id)}
            />
            {several && (
              <div className={styles.shareOf}>
                <NumberField
                  label={t("endpoints.share")}
                  unit="%"
                  minValue={0}
                  maxValue={100}
                  step={0.01}
                  formatOptions={{ maximumFractionDigits: 2 }}
                  value={target.share}
                  onChange={(share) => onChange(withShare(primaries, target.id, Number.isNaN(share) ? 0 : share))}
                  error={faults[`${target.id}.weight`]}
                />
                <IconButton
                  label={t("endpoints.removePrimary", { number: place + 1 })}
                  icon={<X />}
                  size="m"
                  onPress={() => onChange(without(primaries, target.id))}
                />
              </div>
            )}
          </div>
        </fieldset>
      ))}
      {several && <Split primaries={primaries} onChange={onChange} />}
      <div className={styles.row}>
        <Button size="s" icon={<Plus />} onPress={() => onChange(withOneMore(primaries))}>
          {t("endpoints.addPrimary")}
        </Button>
        <span className={styles.note}>{t(several ? "endpoints.splitHint" : "endpoints.addPrimaryHint")}</span>
      </div>
      {faults.primaries && <p className={styles.wrong}>{faults.primaries}</p>}
    </div>
  );
}

/** How the calls are split, and that it comes to all of them. */
function Split({
  primaries,
  onChange,
}: {
  primaries: readonly TargetDraft[];
  onChange: (primaries: readonly TargetDraft[]) => void;
}) {
  const { t } = useTranslation();
  const sum = sumOfShares(primaries);
  const even = evened(primaries).every((target, place) => target.share === primaries[place]?.share);
  return (
    <div className={styles.stackS}>
      <div className={styles.split} aria-hidden="true">
        {primaries.map((target, place) => (
          <span
            key={target.id}
            style={{ flexGrow: target.share, background: `var(--series-${(place % 8) + 1})` }}
            title={`${target.model || "–"} ${target.share}%`}
          />
        ))}
        {sum < 100 && <span className={styles.missing} style={{ flexGrow: 100 - sum }} />}
      </div>
      <div className={styles.row}>
        <span className={sum === 100 ? "muted numbers" : styles.wrong} role="status">
          {sum === 100
            ? t("endpoints.splitWhole")
            : t(sum < 100 ? "endpoints.splitLess" : "endpoints.splitMore", {
                sum,
                apart: Math.round(Math.abs(100 - sum) * 100) / 100,
              })}
        </span>
        {sum !== 100 && (
          <Button size="s" onPress={() => onChange(scaled(primaries))}>
            {t("endpoints.splitScale")}
          </Button>
        )}
        {!even && (
          <Button size="s" look="ghost" onPress={() => onChange(evened(primaries))}>
            {t("endpoints.splitEven")}
          </Button>
        )}
      </div>
    </div>
  );
}
