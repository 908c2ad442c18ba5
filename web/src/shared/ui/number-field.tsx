import {
  Group,
  Input,
  NumberField as AriaNumberField,
  type NumberFieldProps as AriaNumberFieldProps,
} from "react-aria-components";

import { classes } from "./classes";
import styles from "./field.module.css";
import { type Around, Foot, Head, type Plain } from "./labelled";

export function NumberField({
  unit,
  placeholder,
  ...props
}: Plain<AriaNumberFieldProps> & Around & { unit?: string; placeholder?: string }) {
  const { label, description, error, hideLabel, ...rest } = props;
  const around = { label, description, error, hideLabel } as Around;
  return (
    <AriaNumberField validationBehavior="aria" {...rest} isInvalid={Boolean(error)} className={styles.field ?? ""}>
      <Head {...around} />
      <Group className={styles.box ?? ""}>
        <Input {...(placeholder === undefined ? {} : { placeholder })} className={classes(styles.input, "numbers")} />
        {unit !== undefined && <span className={styles.unit}>{unit}</span>}
      </Group>
      <Foot {...around} />
    </AriaNumberField>
  );
}
