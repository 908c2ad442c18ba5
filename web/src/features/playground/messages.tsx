import { ImagePlus, Plus, Trash2, Wrench, X } from "lucide-react";
import { type ClipboardEvent, useState } from "react";
import { FileTrigger } from "react-aria-components";
import { useTranslation } from "react-i18next";

import { bytes } from "@/shared/format/numbers";
import { Button, IconButton } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Select } from "@/shared/ui/choice";
import { TextArea, TextField } from "@/shared/ui/field";

import { calls, changed, type Message, message, type Part, ROLES, type ToolCall, without } from "./draft";
import styles from "./messages.module.css";

const IMAGES = ["image/png", "image/jpeg", "image/webp", "image/gif"]; // what models read

/** The conversation, each message to be written, changed and taken out. `focus`: the one that has the keyboard when it appears. */
export function Messages({
  messages,
  focus,
  onChange,
}: {
  messages: readonly Message[];
  focus: string | null;
  onChange: (messages: readonly Message[], focus?: string) => void;
}) {
  const { t } = useTranslation();
  function add() {
    const next = message(messages.at(-1)?.role === "user" ? "assistant" : "user");
    onChange([...messages, next], next.id);
  }
  return (
    <>
      <ol className={styles.messages}>
        {messages.map((one, index) => (
          <li key={one.id}>
            <MessageEditor
              message={one}
              no={index + 1}
              earlier={calls(messages.slice(0, index))}
              hasFocus={one.id === focus}
              onChange={(changes) => onChange(changed(messages, one.id, changes))}
              {...(messages.length > 1 && { onRemove: () => onChange(without(messages, one.id)) })}
            />
          </li>
        ))}
      </ol>
      <div>
        <Button size="s" icon={<Plus aria-hidden="true" />} onPress={add}>
          {t("playground.addMessage")}
        </Button>
      </div>
    </>
  );
}

function MessageEditor({
  message,
  no,
  earlier,
  hasFocus,
  onChange,
  onRemove,
}: {
  message: Message;
  no: number;
  /** The calls that it may be the result of. */
  earlier: readonly ToolCall[];
  hasFocus: boolean;
  onChange: (changes: Partial<Message>) => void;
  onRemove?: () => void;
}) {
  const { t } = useTranslation();
  const [unread, setUnread] = useState<string | null>(null);
  const { role, parts, callId } = message;
  const role_ = t(`chat.roles.${role}`);
  const takes = role === "user";

  async function take(files: readonly File[]) {
    const images = files.filter((file) => IMAGES.includes(file.type));
    const other = files.find((file) => !IMAGES.includes(file.type));
    setUnread(other?.name ?? null);
    const urls = await Promise.all(images.map(dataUrl));
    if (urls.length) onChange({ parts: [...parts, ...urls.map((url): Part => ({ type: "image", url }))] });
  }

  function pasted(event: ClipboardEvent) {
    const files = [...event.clipboardData.files];
    if (!takes || files.length === 0) return;
    event.preventDefault();
    void take(files);
  }

  const put = (index: number, part: Part | null) =>
    onChange({ parts: parts.flatMap((one, at) => (at !== index ? [one] : part === null ? [] : [part])) });
  const images = parts.flatMap((part, index) => (part.type === "image" ? [{ url: part.url, index }] : []));

  return (
    <section className={styles.message} aria-label={t("playground.messageOf", { no, role: role_ })} data-role={role}>
      <header className={styles.head}>
        <div className={styles.role}>
          <Select
            label={t("playground.role", { no })}
            hideLabel
            size="s"
            value={role}
            onChange={(role) => onChange({ role })}
            options={ROLES.map((value) => ({ value, label: t(`chat.roles.${value}`) }))}
          />
        </div>
        {role === "tool" && (
          <div className={styles.call}>
            <Select
              label={t("playground.resultOf")}
              hideLabel
              size="s"
              placeholder={t("playground.chooseCall")}
              value={earlier.some(({ id }) => id === callId) ? callId : null}
              onChange={(callId) => onChange({ callId })}
              options={earlier.map((call) => ({ value: call.id, label: call.name, detail: call.arguments }))}
            />
          </div>
        )}
        <div className={styles.actions}>
          {takes && (
            <FileTrigger
              allowsMultiple
              acceptedFileTypes={IMAGES}
              onSelect={(files) => void take(files ? [...files] : [])}
            >
              <IconButton label={t("playground.addImage")} icon={<ImagePlus aria-hidden="true" />} />
            </FileTrigger>
          )}
          {onRemove && (
            <IconButton
              label={t("playground.removeMessage", { no })}
              icon={<Trash2 aria-hidden="true" />}
              onPress={onRemove}
            />
          )}
        </div>
      </header>
      {parts.map(
        (part, index) =>
          part.type === "text" && (
            <div key={index} className={styles.text}>
              <TextArea
                label={t("playground.textOf", { no, role: role_ })}
                hideLabel
                rows={2}
                mono={role === "tool"}
                placeholder={t(`playground.placeholders.${role}`)}
                autoFocus={hasFocus && index === 0}
                value={part.text}
                onChange={(text) => put(index, { type: "text", text })}
                onPaste={pasted}
              />
            </div>
          ),
      )}
      {images.length > 0 && (
        <ul className={styles.images}>
          {images.map(({ url, index }, at) => (
            <li key={index} className={styles.image}>
              {url.startsWith("data:") ? (
                <img src={url} alt={t("playground.imageOf", { no: at + 1, size: bytes(sizeOf(url)) })} />
              ) : (
                <span className={styles.address} title={url}>
                  {url}
                </span>
              )}
              <span className={styles.drop}>
                <IconButton
                  look="secondary"
                  label={t("playground.removeImage", { no: at + 1 })}
                  icon={<X aria-hidden="true" />}
                  onPress={() => put(index, null)}
                />
              </span>
            </li>
          ))}
        </ul>
      )}
      {unread !== null && <Callout tone="warn">{t("playground.noImage", { name: unread })}</Callout>}
      {role === "assistant" && <Calls calls={message.calls} no={no} onChange={(calls) => onChange({ calls })} />}
    </section>
  );
}

/** What an assistant has called: it may have been another one. */
function Calls({
  calls,
  no,
  onChange,
}: {
  calls: readonly ToolCall[];
  no: number;
  onChange: (calls: readonly ToolCall[]) => void;
}) {
  const { t } = useTranslation();
  return calls.map((call, index) => {
    const put = (changes: Partial<ToolCall>) =>
      onChange(calls.map((one, at) => (at === index ? { ...one, ...changes } : one)));
    return (
      <div key={index} className={styles.toolCall}>
        <div className={styles.head}>
          <Wrench className={styles.glyph} aria-hidden="true" />
          <TextField
            label={t("playground.callName", { no, call: index + 1 })}
            hideLabel
            mono
            size="s"
            value={call.name}
            onChange={(name) => put({ name })}
          />
          <IconButton
            label={t("playground.removeCall", { name: call.name })}
            icon={<Trash2 aria-hidden="true" />}
            onPress={() => onChange(calls.filter((one) => one !== call))}
          />
        </div>
        <div className={styles.text}>
          <TextArea
            label={t("playground.callArguments", { name: call.name })}
            hideLabel
            mono
            rows={1}
            value={call.arguments}
            onChange={(given) => put({ arguments: given })}
          />
        </div>
      </div>
    );
  });
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error ?? new Error(file.name));
    reader.readAsDataURL(file);
  });
}

/** Of the bytes that a data URL has in base64. */
function sizeOf(url: string): number {
  const packed = url.slice(url.indexOf(",") + 1).replace(/=+$/, "");
  return Math.floor((packed.length * 3) / 4);
}
