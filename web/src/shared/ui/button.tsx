import type { ReactNode, Ref } from "react";
import {
  Button as AriaButton,
  type ButtonProps as AriaButtonProps,
  ToggleButton as AriaToggleButton,
  ToggleButtonGroup,
  type ToggleButtonGroupProps,
} from "react-aria-components";

import styles from "./button.module.css";
import { classes } from "./classes";
import { Tooltip } from "./tooltip";

export type Look = "primary" | "secondary" | "ghost" | "danger";

export type ButtonProps = Omit<AriaButtonProps, "className" | "style" | "children"> & {
  look?: Look;
  size?: "s" | "m";
  icon?: ReactNode;
  children?: ReactNode;
  ref?: Ref<HTMLButtonElement>;
};

/** `isPending`: keeps its size and says so to readers, and cannot be pressed twice. */
export function Button({ look = "secondary", size = "m", icon, children, ...props }: ButtonProps) {
  return (
    <AriaButton {...props} className={classes(styles.button, styles[look], size === "s" && styles.small)}>
      {icon}
      {children}
    </AriaButton>
  );
}

/** A button that is an icon alone; `label` is its name, and what its tooltip says. */
export function IconButton({
  label,
  icon,
  look = "ghost",
  size = "s",
  ...props
}: Omit<ButtonProps, "children" | "aria-label"> & { label: string }) {
  return (
    <Tooltip text={label}>
      <AriaButton
        {...props}
        aria-label={label}
        className={classes(styles.button, styles.iconOnly, styles[look], size === "s" && styles.small)}
      >
        {icon}
      </AriaButton>
    </Tooltip>
  );
}

/** One of a few, all of them in sight. */
export function Segmented<Value extends string>({
  label,
  value,
  options,
  onChange,
  ...props
}: Omit<
  ToggleButtonGroupProps,
  "selectedKeys" | "onSelectionChange" | "selectionMode" | "className" | "style" | "children" | "onChange"
> & {
  label: string;
  value: Value;
  /** `name`: of an option whose label is an icon. */
  options: readonly { value: Value; label: ReactNode; name?: string }[];
  onChange: (value: Value) => void;
}) {
  return (
    <ToggleButtonGroup
      {...props}
      aria-label={label}
      selectionMode="single"
      disallowEmptySelection
      selectedKeys={[value]}
      onSelectionChange={(keys) => {
        const chosen = options.find((option) => keys.has(option.value));
        if (chosen) onChange(chosen.value);
      }}
      className={styles.segmented ?? ""}
    >
      {options.map((option) =>
        option.name === undefined ? (
          <AriaToggleButton key={option.value} id={option.value} className={styles.segment ?? ""}>
            {option.label}
          </AriaToggleButton>
        ) : (
          <Tooltip key={option.value} text={option.name}>
            <AriaToggleButton id={option.value} aria-label={option.name} className={styles.segment ?? ""}>
              {option.label}
            </AriaToggleButton>
          </Tooltip>
        ),
      )}
    </ToggleButtonGroup>
  );
}
