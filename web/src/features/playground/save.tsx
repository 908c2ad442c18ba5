import { useState } from "react";
import { useTranslation } from "react-i18next";

import { Code } from "@/shared/ui/copy";
import { Dialog } from "@/shared/ui/dialog";
import { Select } from "@/shared/ui/choice";
import { Tabs } from "@/shared/ui/tabs";

import type { Request } from "./dialect";
import { type Language, snippet } from "./snippets";

/** The same request from elsewhere. `requests`: those that could be sent, by the names of their columns. */
export function SaveDialog({
  requests,
  onClose,
}: {
  requests: readonly { id: string; name: string; request: Request }[];
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const [id, setId] = useState(requests[0]?.id ?? null);
  const chosen = requests.find((one) => one.id === id);
  const tab = (language: Language, title: string) => ({
    id: language,
    title,
    content: chosen && (
      <Code text={snippet(language, chosen.request, window.location.origin)} label={title} maxHeight="48vh" />
    ),
  });
  return (
    <Dialog title={t("playground.saveAs")} size="l" isOpen onClose={onClose}>
      {requests.length > 1 && (
        <Select
          label={t("playground.saveColumn")}
          value={id}
          onChange={setId}
          options={requests.map((one) => ({ value: one.id, label: one.name }))}
        />
      )}
      <p className="muted">{t("playground.saveText")}</p>
      <Tabs label={t("playground.saveAs")} tabs={[tab("curl", "curl"), tab("python", "Python")]} />
    </Dialog>
  );
}
