import { Pencil, Plus, Trash2, Wrench } from "lucide-react";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button, IconButton } from "@/shared/ui/button";
import { Dialog } from "@/shared/ui/dialog";
import { TextArea, TextField } from "@/shared/ui/field";

import { object } from "./answer";
import { changed, newId, type Tool, without } from "./draft";
import styles from "./tools.module.css";

const FORM = "tool-form";
const SCHEMA = `{
  "type": "object",
  "properties": {
    "city": { "type": "string" }
  },
  "required": ["city"]
}`;

/** What the models may call. What a call returns is typed in by hand. */
export function Tools({ tools, onChange }: { tools: readonly Tool[]; onChange: (tools: readonly Tool[]) => void }) {
  const { t } = useTranslation();
  const [editing, setEditing] = useState<Tool | null>(null);
  function save(tool: Tool) {
    onChange(tools.some(({ id }) => id === tool.id) ? changed(tools, tool.id, tool) : [...tools, tool]);
    setEditing(null);
  }
  return (
    <div className={styles.tools}>
      {tools.length > 0 && (
        <ul className={styles.list}>
          {tools.map((tool) => (
            <li key={tool.id} className={styles.tool}>
              <Wrench className={styles.glyph} aria-hidden="true" />
              <span className="mono">{tool.name}</span>
              <span className={styles.says}>{tool.description}</span>
              <IconButton
                label={t("playground.editTool", { name: tool.name })}
                icon={<Pencil aria-hidden="true" />}
                onPress={() => setEditing(tool)}
              />
              <IconButton
                label={t("playground.removeTool", { name: tool.name })}
                icon={<Trash2 aria-hidden="true" />}
                onPress={() => onChange(without(tools, tool.id))}
              />
            </li>
          ))}
        </ul>
      )}
      <div>
        <Button
          size="s"
          icon={<Plus aria-hidden="true" />}
          onPress={() => setEditing({ id: newId(), name: "", description: "", schema: SCHEMA })}
        >
          {t("playground.addTool")}
        </Button>
      </div>
      {editing && <ToolDialog key={editing.id} tool={editing} onSave={save} onClose={() => setEditing(null)} />}
    </div>
  );
}

function ToolDialog({ tool, onSave, onClose }: { tool: Tool; onSave: (tool: Tool) => void; onClose: () => void }) {
  const { t } = useTranslation();
  const [form, setForm] = useState(tool);
  const [tried, setTried] = useState(false);
  const set = (changes: Partial<Tool>) => setForm((now) => ({ ...now, ...changes }));
  const unnamed = /^[\w-]{1,64}$/.test(form.name) ? undefined : t("playground.toolNameError");
  const unread = object(form.schema) ? undefined : t("playground.toolSchemaError");
  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    setTried(true);
    if (!unnamed && !unread) onSave(form);
  }
  return (
    <Dialog
      title={tool.name ? t("playground.editTool", { name: tool.name }) : t("playground.addTool")}
      isOpen
      isDismissable={false}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" form={FORM}>
            {t("playground.saveTool")}
          </Button>
        </>
      }
    >
      <form id={FORM} className={styles.form} onSubmit={submit} noValidate>
        <TextField
          label={t("playground.toolName")}
          mono
          autoFocus
          placeholder="get_weather"
          error={tried ? unnamed : undefined}
          value={form.name}
          onChange={(name) => set({ name })}
        />
        <TextArea
          label={t("playground.toolDescription")}
          rows={2}
          placeholder={t("playground.toolDescriptionExample")}
          value={form.description}
          onChange={(description) => set({ description })}
        />
        <TextArea
          label={t("playground.toolSchema")}
          mono
          rows={10}
          error={tried ? unread : undefined}
          value={form.schema}
          onChange={(schema) => set({ schema })}
        />
      </form>
    </Dialog>
  );
}
