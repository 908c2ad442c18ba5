import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button, IconButton } from "./button";
import styles from "./copy.module.css";

/** Whether it is in the clipboard now. */
async function taken(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return takenAsOfOld(text); // over plain HTTP beyond loopback there is no `navigator.clipboard`
  }
}

function takenAsOfOld(text: string): boolean {
  let given = false;
  const give = (event: ClipboardEvent) => {
    event.preventDefault();
    event.clipboardData?.setData("text/plain", text);
    given = true;
  };
  document.addEventListener("copy", give);
  document.getSelection()?.selectAllChildren(document.body); // of nothing no browser makes a copy
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- there is nothing else where this is called
  const done = document.execCommand("copy");
  document.getSelection()?.removeAllRanges();
  document.removeEventListener("copy", give);
  return done && given;
}

/** Copies `text`. `label` names what it is; `withText` shows the label too. */
export function CopyButton({ text, label, withText = false }: { text: string; label?: string; withText?: boolean }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState<boolean | null>(null);
  useEffect(() => {
    if (copied === null) return;
    const timer = setTimeout(() => setCopied(null), copied ? 1500 : 6000);
    return () => clearTimeout(timer);
  }, [copied]);

  const said = copied ? t("common.copied") : (label ?? t("common.copy"));
  const icon = copied ? <Check aria-hidden="true" /> : <Copy aria-hidden="true" />;
  const copy = () => void taken(text).then(setCopied);
  return (
    <>
      {copied === false && (
        <span role="alert" className={styles.failed}>
          {t("common.notCopied")}
        </span>
      )}
      {withText ? (
        <Button size="s" icon={icon} onPress={copy}>
          {said}
        </Button>
      ) : (
        <IconButton label={said} icon={icon} onPress={copy} />
      )}
    </>
  );
}

/** Text as it is, with a way to take it. `wrap`: long lines are folded instead of scrolled. */
export function Code({
  text,
  label,
  wrap = false,
  maxHeight,
}: {
  text: string;
  label: string;
  wrap?: boolean;
  maxHeight?: string;
}) {
  return (
    <div className={styles.frame}>
      {/* eslint-disable jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard (WCAG 2.1.1) */}
      <pre
        role="region"
        tabIndex={0}
        aria-label={label}
        className={styles.code}
        data-wrap={wrap || undefined}
        style={{ maxHeight }}
      >
        <code>{text}</code>
      </pre>
      {/* eslint-enable jsx-a11y/no-noninteractive-tabindex */}
      <div className={styles.corner}>
        <CopyButton text={text} />
      </div>
    </div>
  );
}
