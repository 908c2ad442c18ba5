import type { ReactNode } from "react";

import styles from "./badge.module.css";
import { classes } from "./classes";

export type Tone = "neutral" | "good" | "warn" | "bad" | "info" | "accent";

/** A word about something. `dot` marks a state; the word says it too, as colour alone tells not everybody. */
export function Badge({
  tone = "neutral",
  dot = false,
  children,
}: {
  tone?: Tone;
  dot?: boolean;
  children: ReactNode;
}) {
  return (
    <span className={classes(styles.badge, styles[tone])}>
      {dot && <span className={styles.dot} aria-hidden="true" />}
      {children}
    </span>
  );
}
