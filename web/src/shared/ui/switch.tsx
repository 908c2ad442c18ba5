import { Check } from "lucide-react";
import type { ReactNode } from "react";
import {
  CheckboxButton,
  CheckboxField,
  type CheckboxFieldProps,
  SwitchButton,
  SwitchField,
  type SwitchFieldProps,
  Text,
} from "react-aria-components";

import { classes } from "./classes";
import styles from "./field.module.css";
import type { Plain } from "./labelled";

export function Switch({
  label,
  description,
  ...props
}: Plain<SwitchFieldProps> & { label: ReactNode; description?: ReactNode }) {
  return (
    <SwitchField {...props} className={styles.field ?? ""}>
      <SwitchButton className={styles.switch ?? ""}>
        <span className={styles.track} aria-hidden="true">
          <span className={styles.thumb} />
        </span>
        <span>{label}</span>
      </SwitchButton>
      {description !== undefined && (
        <Text slot="description" className={classes(styles.description, styles.indented)}>
          {description}
        </Text>
      )}
    </SwitchField>
  );
}

export function Checkbox({ label, ...props }: Plain<CheckboxFieldProps> & { label: ReactNode }) {
  return (
    <CheckboxField {...props}>
      <CheckboxButton className={styles.checkbox ?? ""}>
        <span className={styles.square} aria-hidden="true">
          <Check />
        </span>
        {label}
      </CheckboxButton>
    </CheckboxField>
  );
}
