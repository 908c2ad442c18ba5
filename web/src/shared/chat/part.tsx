import { CircleAlert, CornerDownRight, ExternalLink, FileText, Image, Wrench } from "lucide-react";
import { useTranslation } from "react-i18next";

import { indented } from "@/shared/format/json";
import { count } from "@/shared/format/numbers";
import { Badge } from "@/shared/ui/badge";
import { classes } from "@/shared/ui/classes";

import styles from "./chat.module.css";
import { Disclosure, Words } from "./fold";
import { type AudioPart, type FilePart, type ImagePart, inline, type Part, remote, type ToolResultPart } from "./said";

/** One piece of a message. Whatever it says came from outside: it is text, and nothing of it is fetched. */
export function PartView({ part, tools }: { part: Part; tools: ReadonlyMap<string, string> }) {
  const { t } = useTranslation();
  switch (part.type) {
    case "text":
      return <Words text={part.text} />;
    case "thinking":
      return part.text ? (
        <Disclosure title={t("chat.thinking", { characters: count(part.text.length) })}>
          <div className={styles.thinking}>
            <Words text={part.text} />
          </div>
        </Disclosure>
      ) : (
        <p className="faint">{t("chat.hiddenThinking")}</p>
      );
    case "refusal":
      return (
        <div className={styles.refusal}>
          <CircleAlert aria-hidden="true" />
          <div>
            <strong>{t("chat.refusal")}</strong>
            <Words text={part.text} />
          </div>
        </div>
      );
    case "image":
      return <ImageView part={part} />;
    case "audio":
      return <AudioView part={part} />;
    case "file":
      return <FileView part={part} />;
    case "tool_call":
      return (
        <div className={styles.tool}>
          <div className={styles.toolHead}>
            <Wrench aria-hidden="true" />
            <span className="mono">{part.name}</span>
            {part.call_id !== null && <span className={classes("mono", styles.id)}>{part.call_id}</span>}
          </div>
          <Words mono text={indented(part.arguments)} />
        </div>
      );
    case "tool_result":
      return <ToolResult part={part} tools={tools} />;
    case "embeddings":
      return (
        <p className="muted">
          {t("chat.embeddings", { count: part.count })}
          {part.dimensions !== null && ` · ${t("chat.dimensions", { count: part.dimensions })}`}
        </p>
      );
    case "other":
      return (
        <Disclosure title={<span className="mono">{part.kind}</span>}>
          <div className={styles.tool}>
            <Words mono text={indented(part.value)} />
          </div>
        </Disclosure>
      );
  }
}

function ToolResult({ part, tools }: { part: ToolResultPart; tools: ReadonlyMap<string, string> }) {
  const { t } = useTranslation();
  const name = part.name ?? (part.call_id === null ? undefined : tools.get(part.call_id));
  return (
    <div className={styles.tool}>
      <div className={styles.toolHead}>
        <CornerDownRight aria-hidden="true" />
        <span>{t("chat.result")}</span>
        {name !== undefined && <span className="mono">{name}</span>}
        {part.failed && <Badge tone="bad">{t("chat.failed")}</Badge>}
        {part.call_id !== null && <span className={classes("mono", styles.id)}>{part.call_id}</span>}
      </div>
      {part.parts.map((inner, index) =>
        inner.type === "text" ? (
          <Words key={index} mono text={indented(inner.text)} />
        ) : (
          <PartView key={index} part={inner} tools={tools} />
        ),
      )}
    </div>
  );
}

function ImageView({ part }: { part: ImagePart }) {
  const { t } = useTranslation();
  const shown = inline(part.url, "image");
  if (shown === null) return <Elsewhere url={part.url} said={t("chat.image")} icon={<Image aria-hidden="true" />} />;
  return <img className={styles.image} src={shown} alt={t("chat.imageOf", { type: part.media_type ?? "image" })} />;
}

function AudioView({ part }: { part: AudioPart }) {
  const { t } = useTranslation();
  const heard = inline(part.url, "audio");
  return (
    <div className={styles.media}>
      {heard !== null ? (
        // eslint-disable-next-line jsx-a11y/media-has-caption -- what there is of a transcript stands below
        <audio className={styles.audio} controls preload="metadata" src={heard} aria-label={t("chat.audio")} />
      ) : (
        <Elsewhere url={part.url} said={t("chat.audio")} icon={<FileText aria-hidden="true" />} />
      )}
      {part.transcript !== null && <Words text={part.transcript} />}
    </div>
  );
}

function FileView({ part }: { part: FilePart }) {
  const { t } = useTranslation();
  const name = part.name ?? t("chat.file");
  const said = part.media_type === null ? name : `${name} · ${part.media_type}`;
  if (part.url?.startsWith("data:"))
    return (
      <a className={styles.elsewhere} href={part.url} download={name}>
        <FileText aria-hidden="true" />
        <span className="truncate">{said}</span>
      </a>
    );
  return <Elsewhere url={part.url} said={said} icon={<FileText aria-hidden="true" />} />;
}

/** Something whose bytes were not sent: named, and linked where that is possible. */
function Elsewhere({ url, said, icon }: { url: string | null; said: string; icon: React.ReactNode }) {
  const address = remote(url);
  const name = url === null || url.startsWith("data:") ? said : `${said}: ${url}`;
  if (address === null)
    return (
      <span className={styles.elsewhere}>
        {icon}
        <span className="truncate">{name}</span>
      </span>
    );
  return (
    <a className={styles.elsewhere} href={address} target="_blank" rel="noreferrer noopener">
      {icon}
      <span className="truncate">{name}</span>
      <ExternalLink aria-hidden="true" />
    </a>
  );
}
