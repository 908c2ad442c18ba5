import { Bot, Settings2, User, Wrench } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";

import { indented } from "@/shared/format/json";
import { Badge } from "@/shared/ui/badge";
import { Button } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { classes } from "@/shared/ui/classes";

import styles from "./chat.module.css";
import { Disclosure, Words } from "./fold";
import { PartView } from "./part";
import { type Message, type Said, type Tool, toolNames } from "./said";

const LAST = 8; // messages before the answer that are shown at once
const FIRST = 1; // and of the beginning

/** A conversation as a person reads it: what was asked, what came back, what was offered. */
export function Chat({ said, messages = said.messages }: { said: Said; messages?: readonly Message[] }) {
  const { t } = useTranslation();
  const [all, setAll] = useState(false);
  const tools = useMemo(() => toolNames([...said.messages, ...said.answers]), [said]);
  const hidden = all || messages.length <= FIRST + LAST + 1 ? 0 : messages.length - FIRST - LAST;
  const shown = hidden ? [...messages.slice(0, FIRST), ...messages.slice(-LAST)] : messages;
  return (
    <div className={styles.chat}>
      {shown.map((message, index) => (
        <div key={hidden && index >= FIRST ? index + hidden : index} className={styles.turn}>
          {hidden > 0 && index === FIRST && (
            <Button size="s" onPress={() => setAll(true)}>
              {t("chat.showHidden", { count: hidden })}
            </Button>
          )}
          <MessageView message={message} tools={tools} />
        </div>
      ))}
      {said.answers.map((answer, index) => (
        <MessageView
          key={`answer ${index}`}
          message={answer}
          tools={tools}
          isAnswer
          {...(said.answers.length > 1 && { note: t("chat.choice", { no: index + 1 }) })}
        />
      ))}
      {said.error !== null && (
        <Callout tone="bad" past title={t("chat.error")}>
          {said.error}
        </Callout>
      )}
      {said.missing.map((sentence) => (
        <Callout key={sentence} tone="warn" past>
          {sentence}
        </Callout>
      ))}
    </div>
  );
}

const ICONS: Record<string, typeof Bot> = { assistant: Bot, user: User, tool: Wrench };

/** One message. `note` stands beside its role; `footer` below it. */
export function MessageView({
  message,
  tools = NO_TOOLS,
  isAnswer = false,
  note,
  footer,
}: {
  message: Message;
  tools?: ReadonlyMap<string, string>;
  isAnswer?: boolean;
  note?: ReactNode;
  footer?: ReactNode;
}) {
  const { t } = useTranslation();
  const Icon = ICONS[message.role] ?? Settings2;
  const known = ROLES.find((role) => role === message.role);
  return (
    <article className={classes(styles.message, isAnswer && styles.answer)}>
      <header className={styles.head}>
        <Icon aria-hidden="true" />
        <span>{known === undefined ? message.role : t(`chat.roles.${known}`)}</span>
        {message.name !== null && <span className="muted">{message.name}</span>}
        {note !== undefined && <span className="muted">{note}</span>}
        {message.finish_reason !== null && <Badge>{message.finish_reason}</Badge>}
      </header>
      <div className={styles.parts}>
        {message.parts.length ? (
          message.parts.map((part, index) => <PartView key={index} part={part} tools={tools} />)
        ) : (
          <p className="faint">{t("chat.empty")}</p>
        )}
      </div>
      {footer}
    </article>
  );
}

const ROLES = ["system", "developer", "user", "assistant", "tool"] as const;
const NO_TOOLS: ReadonlyMap<string, string> = new Map();

/** What the model was offered, and what else was asked of it. */
export function Offered({ tools, parameters }: { tools: readonly Tool[]; parameters: Said["parameters"] }) {
  const { t } = useTranslation();
  const names = Object.keys(parameters);
  return (
    <div className={styles.offered}>
      {names.length > 0 && (
        <dl className={styles.parameters}>
          {names.map((name) => (
            <div key={name}>
              <dt className="mono">{name}</dt>
              <dd>
                <Words mono text={indented(parameters[name] ?? "")} />
              </dd>
            </div>
          ))}
        </dl>
      )}
      {tools.map((tool, index) => (
        <Disclosure
          key={index}
          title={
            <>
              <span className="mono">{tool.name}</span>
              {tool.kind !== "function" && tool.kind !== tool.name && <Badge>{tool.kind}</Badge>}
              {tool.description !== null && <span className={styles.toolSays}>{tool.description}</span>}
            </>
          }
        >
          <div className={styles.tool}>
            {tool.description !== null && <Words text={tool.description} />}
            {tool.parameters !== null && <Words mono text={indented(tool.parameters)} />}
          </div>
        </Disclosure>
      ))}
      {names.length === 0 && tools.length === 0 && <p className="muted">{t("chat.nothingOffered")}</p>}
    </div>
  );
}
