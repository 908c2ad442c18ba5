import { Plus, X } from "lucide-react";
import { useTranslation } from "react-i18next";

import { Button, IconButton } from "@/shared/ui/button";
import { TextField } from "@/shared/ui/field";

import styles from "./tags.module.css";

/** Names and values, in the order in which they were written. A row without a name is not yet a tag. */
export type TagRows = readonly (readonly [name: string, value: string])[];

export function rowsOf(tags: Readonly<Record<string, string>>): TagRows {
  return Object.entries(tags);
}

export function tagsOf(rows: TagRows): Record<string, string> {
  return Object.fromEntries(rows.map(([name, value]) => [name.trim(), value] as const).filter(([name]) => name));
}

export function Tags({ label, rows, onChange }: { label: string; rows: TagRows; onChange: (rows: TagRows) => void }) {
  const { t } = useTranslation();
  const set = (index: number, row: readonly [string, string]) =>
    onChange(rows.map((one, place) => (place === index ? row : one)));
  return (
    <fieldset className={styles.tags}>
      <legend>{label}</legend>
      {rows.map(([name, value], index) => (
        <div key={index} className={styles.row}>
          <TextField
            label={t("pickers.tagName")}
            hideLabel
            placeholder={t("pickers.tagName")}
            value={name}
            onChange={(said) => set(index, [said, value])}
          />
          <TextField
            label={t("pickers.tagValue")}
            hideLabel
            placeholder={t("pickers.tagValue")}
            value={value}
            onChange={(said) => set(index, [name, said])}
          />
          <IconButton
            label={t("pickers.removeTag")}
            icon={<X />}
            size="m"
            onPress={() => onChange(rows.filter((_, place) => place !== index))}
          />
        </div>
      ))}
      <div>
        <Button size="s" icon={<Plus />} onPress={() => onChange([...rows, ["", ""]])}>
          {t("pickers.addTag")}
        </Button>
      </div>
    </fieldset>
  );
}
