import { Search, X } from "lucide-react";
import type { ReactNode, Ref } from "react";
import {
  Button as AriaButton,
  Group,
  Input,
  SearchField as AriaSearchField,
  type SearchFieldProps as AriaSearchFieldProps,
  TextArea as AriaTextArea,
  TextField as AriaTextField,
  type TextFieldProps as AriaTextFieldProps,
} from "react-aria-components";

import { classes } from "./classes";
import styles from "./field.module.css";
import { type Around, Foot, Head, type Plain } from "./labelled";

export function TextField({
  placeholder,
  mono = false,
  size = "m",
  prefix,
  inputRef,
  ...props
}: Plain<AriaTextFieldProps> &
  Around & {
    placeholder?: string;
    mono?: boolean;
    size?: "s" | "m";
    prefix?: ReactNode;
    inputRef?: Ref<HTMLInputElement>;
  }) {
  const { label, description, error, hideLabel, ...rest } = props;
  const around = { label, description, error, hideLabel } as Around;
  return (
    <AriaTextField validationBehavior="aria" {...rest} isInvalid={Boolean(error)} className={styles.field ?? ""}>
      <Head {...around} />
      <Group className={classes(styles.box, size === "s" && styles.small)}>
        {prefix}
        <Input
          ref={inputRef ?? null}
          {...(placeholder === undefined ? {} : { placeholder })}
          className={classes(styles.input, mono && "mono")}
        />
      </Group>
      <Foot {...around} />
    </AriaTextField>
  );
}

export function TextArea({
  placeholder,
  rows = 3,
  mono = false,
  ...props
}: Plain<AriaTextFieldProps> & Around & { placeholder?: string; rows?: number; mono?: boolean }) {
  const { label, description, error, hideLabel, ...rest } = props;
  const around = { label, description, error, hideLabel } as Around;
  return (
    <AriaTextField validationBehavior="aria" {...rest} isInvalid={Boolean(error)} className={styles.field ?? ""}>
      <Head {...around} />
      <AriaTextArea
        rows={rows}
        {...(placeholder === undefined ? {} : { placeholder })}
        className={classes(styles.box, styles.area, mono && "mono")}
      />
      <Foot {...around} />
    </AriaTextField>
  );
}

/** `inputRef`: for the page's `/` shortcut. */
export function SearchField({
  label,
  placeholder,
  size = "m",
  inputRef,
  ...props
}: Plain<AriaSearchFieldProps> & {
  label: string;
  placeholder?: string;
  size?: "s" | "m";
  inputRef?: Ref<HTMLInputElement>;
}) {
  return (
    <AriaSearchField {...props} aria-label={label} className={styles.field ?? ""}>
      {({ isEmpty }) => (
        <Group className={classes(styles.box, size === "s" && styles.small)}>
          <Search className={styles.glyph} aria-hidden="true" />
          <Input ref={inputRef ?? null} placeholder={placeholder ?? label} className={styles.input ?? ""} />
          {!isEmpty && (
            <AriaButton className={styles.clear ?? ""}>
              <X aria-hidden="true" />
            </AriaButton>
          )}
        </Group>
      )}
    </AriaSearchField>
  );
}
