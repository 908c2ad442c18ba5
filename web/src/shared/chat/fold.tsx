import { ChevronRight } from "lucide-react";
import { type ReactNode, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button as AriaButton } from "react-aria-components";

import { count } from "@/shared/format/numbers";
import { Button } from "@/shared/ui/button";

import styles from "./chat.module.css";

const LONG = 2_400; // characters; a screen or so
const SHOWN = 1_600; // of a long one
const LINES = 40;

/** What was said, as it was said. A long text shows its beginning first. */
export function Words({ text, mono = false }: { text: string; mono?: boolean }) {
  const { t } = useTranslation();
  const [whole, setWhole] = useState(false);
  const start = beginning(text);
  return (
    <div className={styles.words}>
      <div className={mono ? styles.mono : styles.plain}>{whole ? text : start}</div>
      {start.length < text.length && (
        <Button size="s" look="ghost" onPress={() => setWhole(!whole)}>
          {whole ? t("chat.less") : t("chat.more", { characters: count(text.length) })}
        </Button>
      )}
    </div>
  );
}

/** So much of a long text as is shown at first, to the end of a line or word; all of a short one. */
export function beginning(text: string): string {
  const end = text.length <= LONG ? text.length : SHOWN;
  let line = -1;
  for (let lines = 0; lines < LINES; lines++) {
    line = text.indexOf("\n", line + 1);
    if (line < 0 || line >= end) break;
  }
  // A few lines more are not worth a press.
  if (line >= 0 && line < end && text.includes("\n", line + 400)) return text.slice(0, line);
  if (end === text.length) return text;
  const gap = text.slice(0, end).search(/\s\S*$/);
  return text.slice(0, gap > end / 2 ? gap : end);
}

/** A title that opens what belongs to it. */
export function Disclosure({
  title,
  isOpen = false,
  children,
}: {
  title: ReactNode;
  isOpen?: boolean;
  children: ReactNode;
}) {
  const [open, setOpen] = useState(isOpen);
  const id = useId();
  return (
    <div className={styles.disclosure}>
      <AriaButton
        className={styles.opener ?? ""}
        aria-expanded={open}
        aria-controls={id}
        onPress={() => setOpen(!open)}
      >
        <ChevronRight aria-hidden="true" />
        {title}
      </AriaButton>
      <div id={id} hidden={!open}>
        {open && children}
      </div>
    </div>
  );
}
