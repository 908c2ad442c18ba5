import type { ReactNode } from "react";
import { FieldError, Label, Text } from "react-aria-components";

import styles from "./field.module.css";

/**
 * What every field has. `error`: what is wrong and what to do, shown at the field; it stays until the server was asked again, so it must not
 * keep the form from being sent (React Aria's `validationBehavior`). `hideLabel`: it has the name still.
 */
export type Around = { label: string; description?: ReactNode; error?: string | undefined; hideLabel?: boolean };

export function Head({ label, hideLabel }: Around) {
  return <Label className={hideLabel ? "visually-hidden" : (styles.label ?? "")}>{label}</Label>;
}

export function Foot({ description, error }: Around) {
  return (
    <>
      {description !== undefined && !error && (
        <Text slot="description" className={styles.description ?? ""}>
          {description}
        </Text>
      )}
      <FieldError className={styles.error ?? ""}>{error}</FieldError>
    </>
  );
}

export type Plain<Props> = Omit<Props, "className" | "style" | "children">;
