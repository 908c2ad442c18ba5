import { CircleAlert, CircleCheck, Info, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { Tone } from "./badge";
import styles from "./callout.module.css";
import { classes } from "./classes";

const GLYPHS = { neutral: Info, accent: Info, info: Info, good: CircleCheck, warn: TriangleAlert, bad: CircleAlert };

/** What happened and what to do, beside where it happened. What goes wrong is read out at once; `past` is what is merely told of a call. */
export function Callout({
  tone = "info",
  past = false,
  title,
  children,
  action,
}: {
  tone?: Tone;
  past?: boolean;
  title?: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  const Glyph = GLYPHS[tone];
  return (
    <div
      className={classes(styles.callout, styles[tone])}
      role={past ? undefined : tone === "bad" ? "alert" : "status"}
    >
      <Glyph aria-hidden="true" />
      <div className={styles.text}>
        {title !== undefined && <strong>{title}</strong>}
        {children !== undefined && <div>{children}</div>}
      </div>
      {action}
    </div>
  );
}

/** What a page shows in place of what it could not load. An error without words: the gateway did not answer at all. */
export function LoadFailed({ error }: { error: Error }) {
  const { t } = useTranslation();
  return (
    <Callout tone="bad" title={t("problems.loadFailed")}>
      {error.message || t("problems.network")}
    </Callout>
  );
}
