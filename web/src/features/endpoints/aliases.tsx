import { X } from "lucide-react";
import { type KeyboardEvent, useState } from "react";
import { Button as AriaButton, Label, Tag, TagGroup, TagList } from "react-aria-components";
import { useTranslation } from "react-i18next";

import { Button } from "@/shared/ui/button";
import { TextField } from "@/shared/ui/field";

import type { Faults } from "./form";
import styles from "./form.module.css";

/** Other names of the endpoint, and patterns of names. */
export function Aliases({
  aliases,
  onChange,
  faults,
}: {
  aliases: readonly string[];
  onChange: (aliases: readonly string[]) => void;
  faults: Faults;
}) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState("");
  function add() {
    const said = typed
      .split(/[\s,]+/)
      .filter((alias, place, all) => alias && !aliases.includes(alias) && all.indexOf(alias) === place);
    if (said.length) onChange([...aliases, ...said]);
    setTyped("");
  }
  function onKeyDown(event: KeyboardEvent) {
    if (event.key !== "Enter" || !typed.trim()) return;
    event.preventDefault(); // it does not send the form
    add();
  }
  return (
    <div className={styles.stackS}>
      <div className={styles.addition}>
        <TextField
          label={t("endpoints.aliases")}
          description={t("endpoints.aliasesHint")}
          value={typed}
          onChange={setTyped}
          onKeyDown={onKeyDown}
          onBlur={add}
          placeholder={t("endpoints.aliasExample")}
          error={Object.values(faults).join(" ")}
          autoComplete="off"
          spellCheck="false"
          mono
        />
        <Button onPress={add} isDisabled={!typed.trim()}>
          {t("endpoints.add")}
        </Button>
      </div>
      {aliases.length > 0 && (
        <TagGroup onRemove={(keys) => onChange(aliases.filter((alias) => !keys.has(alias)))}>
          <Label className="visually-hidden">{t("endpoints.aliases")}</Label>
          <TagList className={styles.chips ?? ""}>
            {aliases.map((alias) => (
              <Tag key={alias} id={alias} textValue={alias} className={styles.chip ?? ""}>
                <span className="mono">{alias}</span>
                <AriaButton slot="remove" className={styles.chipRemove ?? ""}>
                  <X aria-hidden="true" />
                </AriaButton>
              </Tag>
            ))}
          </TagList>
        </TagGroup>
      )}
    </div>
  );
}
