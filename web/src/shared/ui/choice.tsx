import { Check, ChevronDown } from "lucide-react";
import type { ReactNode } from "react";
import {
  Button as AriaButton,
  ComboBox as AriaComboBox,
  type ComboBoxProps as AriaComboBoxProps,
  Group,
  Input,
  ListBox,
  ListBoxItem,
  type ListBoxItemProps,
  Popover,
  Select as AriaSelect,
  type SelectProps as AriaSelectProps,
  SelectValue,
} from "react-aria-components";

import { classes } from "./classes";
import styles from "./field.module.css";
import { type Around, Foot, Head, type Plain } from "./labelled";

export type Option<Value extends string = string> = {
  value: Value;
  label: string;
  detail?: ReactNode;
  isDisabled?: boolean;
};

/** One of some that all fit a list. */
export function Select<Value extends string>({
  label,
  options,
  value,
  onChange,
  placeholder,
  size = "m",
  description,
  error,
  hideLabel,
  ...props
}: Omit<Plain<AriaSelectProps>, "selectedKey" | "onSelectionChange" | "value" | "onChange" | "placeholder"> &
  Around & {
    options: readonly Option<Value>[];
    value: Value | null;
    onChange: (value: Value) => void;
    placeholder?: string;
    size?: "s" | "m";
  }) {
  const around = { label, description, error, hideLabel } as Around;
  return (
    <AriaSelect
      validationBehavior="aria"
      {...props}
      {...(placeholder === undefined ? {} : { placeholder })}
      isInvalid={Boolean(error)}
      value={value}
      onChange={(key) => {
        const chosen = options.find((option) => option.value === key);
        if (chosen) onChange(chosen.value);
      }}
      className={styles.field ?? ""}
    >
      <Head {...around} />
      <AriaButton className={classes(styles.box, styles.trigger, size === "s" && styles.small)}>
        <SelectValue className={styles.chosen ?? ""}>
          {({ selectedText, defaultChildren, isPlaceholder }) => (isPlaceholder ? defaultChildren : selectedText)}
        </SelectValue>
        <ChevronDown className={styles.glyph} aria-hidden="true" />
      </AriaButton>
      <Foot {...around} />
      <Popover className={styles.popover ?? ""} offset={4}>
        <ListBox items={options.map((option) => ({ ...option, id: option.value }))} className={styles.list ?? ""}>
          {(option) => <Row option={option} />}
        </ListBox>
      </Popover>
    </AriaSelect>
  );
}

/**
 * One of many, found by typing. Without `onInputChange` the options are filtered here; with it, whoever gives them has.
 * `allowsCustomValue` (of React Aria): what was typed is a value too; read it from `onInputChange`.
 */
export function ComboBox<Value extends string>({
  label,
  options,
  value,
  onChange,
  placeholder,
  empty,
  size = "m",
  description,
  error,
  hideLabel,
  ...props
}: Omit<Plain<AriaComboBoxProps<object>>, "value" | "onChange" | "selectedKey" | "onSelectionChange" | "items"> &
  Around & {
    options: readonly Option<Value>[];
    value: Value | null;
    onChange: (value: Value | null) => void;
    placeholder?: string;
    empty: string;
    size?: "s" | "m";
  }) {
  const around = { label, description, error, hideLabel } as Around;
  const items = options.map((option) => ({ ...option, id: option.value }));
  return (
    <AriaComboBox
      validationBehavior="aria"
      {...props}
      {...(props.onInputChange ? { items } : { defaultItems: items })}
      menuTrigger="focus"
      allowsEmptyCollection
      isInvalid={Boolean(error)}
      value={value}
      onChange={(key) => onChange(options.find((option) => option.value === key)?.value ?? null)}
      className={styles.field ?? ""}
    >
      <Head {...around} />
      <Group className={classes(styles.box, size === "s" && styles.small)}>
        <Input {...(placeholder === undefined ? {} : { placeholder })} className={styles.input ?? ""} />
        <AriaButton className={styles.clear ?? ""}>
          <ChevronDown aria-hidden="true" />
        </AriaButton>
      </Group>
      <Foot {...around} />
      <Popover className={styles.popover ?? ""} offset={4}>
        <ListBox className={styles.list ?? ""} renderEmptyState={() => <div className={styles.empty}>{empty}</div>}>
          {(option: Option & { id: string }) => <Row option={option} />}
        </ListBox>
      </Popover>
    </AriaComboBox>
  );
}

function Row({ option, ...props }: { option: Option } & Partial<ListBoxItemProps>) {
  return (
    <ListBoxItem
      {...props}
      id={option.value}
      textValue={option.label}
      isDisabled={option.isDisabled ?? false}
      className={styles.option ?? ""}
    >
      {({ isSelected }) => (
        <>
          <Check className={styles.tick} aria-hidden="true" data-shown={isSelected || undefined} />
          <span className={styles.optionText}>
            <span className="truncate">{option.label}</span>
            {option.detail !== undefined && <span className={styles.detail}>{option.detail}</span>}
          </span>
        </>
      )}
    </ListBoxItem>
  );
}
