import { useState } from "react";
import { useTranslation } from "react-i18next";
import { CheckboxGroup, Label } from "react-aria-components";

import { Segmented } from "@/shared/ui/button";
import { SearchField } from "@/shared/ui/field";
import { Checkbox } from "@/shared/ui/switch";

import styles from "./some-of.module.css";

const MANY = 8; // from here on a list is searched

/**
 * All of them, or only those ticked: `value` null is all, also of those that are made later. With `onSearch`, which says what was typed,
 * `options` are those found and those ticked; else all that there are.
 */
export function SomeOf({
  label,
  all,
  some,
  description,
  options,
  value,
  onChange,
  onSearch,
}: {
  label: string;
  all: string;
  some: string;
  description?: string;
  options: readonly { id: string; name: string }[];
  value: readonly string[] | null;
  onChange: (value: string[] | null) => void;
  onSearch?: (words: string) => void;
}) {
  const { t } = useTranslation();
  const [sought, setSought] = useState("");
  const shown = options
    .filter((option) => option.name.toLowerCase().includes(sought.toLowerCase()))
    .sort((one, other) => one.name.localeCompare(other.name));
  return (
    <div className={styles.field}>
      <span className={styles.label}>{label}</span>
      <Segmented
        label={label}
        value={value === null ? "all" : "some"}
        options={[
          { value: "all", label: all },
          { value: "some", label: some },
        ]}
        onChange={(chosen) => onChange(chosen === "all" ? null : [])}
      />
      {value !== null && (
        <>
          {(onSearch !== undefined || options.length > MANY) && (
            <SearchField
              label={t("pickers.search")}
              size="s"
              value={sought}
              onChange={(words) => {
                setSought(words);
                onSearch?.(words);
              }}
              onSubmit={() => undefined} // else Enter would send the form that this stands in
            />
          )}
          <CheckboxGroup
            value={[...value]}
            onChange={(chosen) =>
              onChange([
                ...chosen,
                ...value.filter((id) => !shown.some((one) => one.id === id) && !chosen.includes(id)),
              ])
            }
            className={styles.list ?? ""}
          >
            <Label className="visually-hidden">{label}</Label>
            {shown.map((option) => (
              <Checkbox key={option.id} value={option.id} label={option.name} />
            ))}
          </CheckboxGroup>
        </>
      )}
      {description !== undefined && <span className={styles.description}>{description}</span>}
    </div>
  );
}
