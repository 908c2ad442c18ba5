import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";

import type { Trace } from "@/api/traces";
import { indented } from "@/shared/format/json";
import { bytes, count } from "@/shared/format/numbers";
import { Button, Segmented } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Code, CopyButton } from "@/shared/ui/copy";
import { Empty } from "@/shared/ui/page";

import styles from "./page.module.css";

const SHOWN = 200_000; // characters: more of them make a page slow

/** A request or a response as it was kept, or put in lines to be read; the whole of it can be taken. */
export function Raw({ body, label }: { body: Trace["request"]; label: string }) {
  const { t } = useTranslation();
  const [form, setForm] = useState<"lines" | "sent">("lines");
  const [all, setAll] = useState(false);
  const said = body?.text ?? "";
  const text = useMemo(() => (form === "lines" ? indented(said) : said), [form, said]);
  if (body === null) return <Empty title={t("traces.noBody")} />;
  const shown = all ? text : text.slice(0, SHOWN);
  return (
    <div className={styles.raw}>
      <div className={styles.rawBar}>
        <Segmented
          label={t("traces.form")}
          value={form}
          options={[
            { value: "lines", label: t("traces.inLines") },
            { value: "sent", label: t("traces.asSent") },
          ]}
          onChange={setForm}
        />
        <span className="muted numbers">{bytes(body.bytes)}</span>
        <CopyButton withText label={t("traces.copyAll")} text={text} />
      </div>
      {body.truncated && (
        <Callout tone="warn" past>
          {t("traces.truncated")}
        </Callout>
      )}
      <Code wrap label={label} text={shown} maxHeight="70vh" />
      {shown.length < text.length && (
        <Button onPress={() => setAll(true)}>{t("traces.showAllOf", { characters: count(text.length) })}</Button>
      )}
    </div>
  );
}
