import { useQuery } from "@tanstack/react-query";
import { Link, useLocation } from "@tanstack/react-router";
import { Code2, Columns2, Eraser, Play, Send, Square } from "lucide-react";
import { useEffect, useEffectEvent, useState } from "react";
import { flushSync } from "react-dom";
import { useTranslation } from "react-i18next";

import { endpointsQuery } from "@/api/endpoints";
import { providersQuery } from "@/api/providers";
import { sessionQuery } from "@/api/session";
import { traceQuery } from "@/api/traces";
import { Button } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { TextArea } from "@/shared/ui/field";
import { Empty, Page, Skeleton } from "@/shared/ui/page";

import type { Choice } from "./answer";
import { ColumnView } from "./column";
import { dialectFor } from "./dialect";
import { changed, type Column, column, COLUMNS, continued, type Draft, empty, said, UNSET, without } from "./draft";
import { keepDraft, keptDraft, useKeeping } from "./kept";
import { Messages } from "./messages";
import styles from "./page.module.css";
import { flaw, requestOf } from "./request";
import { UNDER_WAY, useRuns } from "./run";
import { SaveDialog } from "./save";
import { openedWith, parseOpening } from "./search";
import { Tools } from "./tools";

/** What the address opens is there before the page is: after that the draft is the person's own. */
export function PlaygroundPage() {
  const { t } = useTranslation();
  // Whoever goes elsewhere has the other address already while this page is still here.
  const location = useLocation();
  const [at, setAt] = useState(location);
  if (location !== at && location.pathname === at.pathname) setAt(location);
  const opening = parseOpening(at.search);
  const visit = at.state.__TSR_key ?? "";
  const trace = useQuery({ ...traceQuery(opening.trace ?? ""), enabled: opening.trace !== null });
  if (opening.trace !== null && trace.isPending)
    return (
      <Page wide title={t("nav.playground")}>
        <Skeleton height="320px" />
      </Page>
    );
  const opens = opening.trace !== null || opening.endpoint !== null;
  const unread = opening.trace !== null && !trace.data?.conversation;
  return (
    <Playground
      key={opens ? visit : ""}
      initial={() => (opens ? openedWith(keptDraft(), opening, trace.data, visit) : keptDraft())}
      unread={unread ? (trace.data?.conversation_missing ?? trace.error?.message ?? "") : null}
    />
  );
}

/** One conversation, sent to as many endpoints as are beside each other. `unread`: why the trace could not be taken. */
function Playground({ initial, unread }: { initial: () => Draft; unread: string | null }) {
  const { t } = useTranslation();
  const [draft, setDraft] = useState(initial);
  const [focus, setFocus] = useState<string | null>(null);
  const [tried, setTried] = useState<ReadonlySet<string>>(new Set()); // the columns that should have been sent
  const [saving, setSaving] = useState(false);
  const kept = useKeeping(draft, keepDraft, PAUSE);
  const { runs, start, stop, forget } = useRuns(draft.columns.map(({ id }) => id));
  const endpoints = useQuery(endpointsQuery);
  const providers = useQuery(providersQuery);
  const admin = useQuery(sessionQuery).data?.role === "admin";

  const update = (changes: Partial<Draft>) => setDraft((now) => ({ ...now, ...changes }));

  const modelsOf = ({ endpoint }: Column) => {
    const found = endpoints.data?.find(({ name }) => name === endpoint);
    const models = found ? [...found.primaries, ...found.fallbacks] : [];
    return models.map(({ provider }) => providers.data?.find(({ name }) => name === provider));
  };
  const dialectOf = (one: Column) => dialectFor(modelsOf(one).flatMap((found) => (found ? [found.formats] : [])));
  const flawOf = (one: Column) => flaw(draft, one, dialectOf(one));
  const requestFor = (one: Column) => requestOf(draft, one, dialectOf(one), modelsOf(one)[0]?.name ?? "");

  function send(columns: readonly Column[]) {
    setTried(new Set(columns.map(({ id }) => id)));
    for (const one of columns) if (flawOf(one) === null) start(one.id, requestFor(one), dialectOf(one));
  }
  const underWay = draft.columns.some(({ id }) => UNDER_WAY(runs[id]));
  useSendKey(() => {
    if (!underWay) send(draft.columns);
  });

  function clear() {
    forget(draft.columns.map(({ id }) => id));
    setTried(new Set());
    setDraft((now) => ({ ...empty(), columns: emptied(now.columns), opened: now.opened }));
  }

  function goOn(answer: Choice) {
    const messages = continued(draft.messages, answer);
    update({ messages });
    setFocus(messages.find((one) => one.role === "tool" && !said(one))?.id ?? messages.at(-1)?.id ?? null);
  }

  const sendable = draft.columns.flatMap((one) =>
    flawOf(one) === null ? [{ id: one.id, name: one.endpoint ?? "", request: requestFor(one) }] : [],
  );
  const { columns, from } = draft;
  const loads = endpoints.isPending || providers.isPending;
  return (
    <Page
      wide
      fill
      title={t("nav.playground")}
      actions={
        <>
          <Button icon={<Eraser aria-hidden="true" />} onPress={clear}>
            {t("playground.clear")}
          </Button>
          <Button
            icon={<Code2 aria-hidden="true" />}
            isDisabled={sendable.length === 0}
            onPress={() => setSaving(true)}
          >
            {t("playground.saveAs")}
          </Button>
          <Button
            icon={<Columns2 aria-hidden="true" />}
            isDisabled={columns.length >= COLUMNS}
            onPress={() => update({ columns: [...columns, column(null, columns.at(-1)?.parameters)] })}
          >
            {t("playground.addColumn")}
          </Button>
        </>
      }
    >
      {endpoints.error && <Callout tone="bad">{endpoints.error.message}</Callout>}
      {unread !== null && (
        <Callout tone="bad" title={t("playground.noTrace")}>
          {unread}
        </Callout>
      )}
      {endpoints.data?.length === 0 ? (
        <Empty
          icon={<Play />}
          title={t("playground.noEndpoints")}
          {...(admin && { action: <Link to="/endpoints/new">{t("playground.makeEndpoint")}</Link> })}
        >
          {t(admin ? "playground.noEndpointsText" : "playground.noEndpointsAsk")}
        </Empty>
      ) : (
        <div className={styles.split} data-columns={columns.length}>
          <section className={styles.ask} aria-label={t("playground.conversation")}>
            <div className={styles.scroll}>
              {from && <From {...from} />}
              {loads ? (
                <>
                  <Skeleton height="76px" />
                  <Skeleton height="88px" />
                  <Skeleton height="98px" />
                </>
              ) : (
                <>
                  <div className={styles.system}>
                    <TextArea
                      label={t("playground.system")}
                      rows={2}
                      placeholder={t("playground.placeholders.system")}
                      value={draft.system}
                      onChange={(system) => update({ system })}
                    />
                  </div>
                  <Messages
                    messages={draft.messages}
                    focus={focus}
                    onChange={(messages, added) => {
                      update({ messages });
                      if (added !== undefined) setFocus(added);
                    }}
                  />
                  <div className={styles.tools}>
                    <h2 className={styles.title}>{t("playground.tools")}</h2>
                    <Tools tools={draft.tools} onChange={(tools) => update({ tools })} />
                  </div>
                </>
              )}
            </div>
            <div className={styles.send}>
              {!kept && <span className={styles.note}>{t("playground.tooLarge")}</span>}
              {underWay ? (
                <Button
                  icon={<Square aria-hidden="true" />}
                  onPress={() => columns.forEach(({ id }) => UNDER_WAY(runs[id]) && stop(id))}
                >
                  {t("playground.stopAll", { count: columns.filter(({ id }) => UNDER_WAY(runs[id])).length })}
                </Button>
              ) : (
                <Button
                  look="primary"
                  icon={<Send aria-hidden="true" />}
                  isDisabled={loads}
                  aria-keyshortcuts="Control+Enter Meta+Enter"
                  onPress={() => send(columns)}
                >
                  {t("playground.send", { count: columns.length })}
                  <kbd className={styles.keys}>{MAC ? t("playground.sendKeysMac") : t("playground.sendKeys")}</kbd>
                </Button>
              )}
            </div>
          </section>
          <div className={styles.columns}>
            {columns.map((one, index) => (
              <ColumnView
                key={one.id}
                no={index + 1}
                column={one}
                endpoints={endpoints.data ?? []}
                dialect={dialectOf(one)}
                hasTools={draft.tools.length > 0}
                run={runs[one.id]}
                flaw={tried.has(one.id) && !UNDER_WAY(runs[one.id]) ? flawOf(one) : null}
                onChange={(changes) => {
                  if (changes.endpoint !== undefined) forget([one.id]); // what it said was another's
                  update({ columns: changed(columns, one.id, changes) });
                }}
                onStop={() => stop(one.id)}
                onAgain={() => send([one])}
                onContinue={goOn}
                {...(columns.length > 1 && {
                  onRemove: () => {
                    forget([one.id]);
                    update({ columns: without(columns, one.id) });
                  },
                })}
              />
            ))}
          </div>
        </div>
      )}
      {saving && <SaveDialog requests={sendable} onClose={() => setSaving(false)} />}
    </Page>
  );
}

/** The same endpoints, and nothing set. */
function emptied(columns: readonly Column[]): Column[] {
  return columns.map(({ endpoint }) => column(endpoint, UNSET));
}

/** Where the draft came from, and what of that it has not. */
function From({ traceId, left }: NonNullable<Draft["from"]>) {
  const { t } = useTranslation();
  return (
    <Callout
      tone={left.length ? "warn" : "neutral"}
      action={
        <Link to="/traces/$traceId" params={{ traceId }}>
          {t("playground.openTrace")}
        </Link>
      }
    >
      {t("playground.fromTrace")}
      {left.length > 0 && ` ${t("playground.left")} ${left.map((one) => t(`playground.leftOut.${one}`)).join("; ")}.`}
    </Callout>
  );
}

const MAC = /Mac|iPhone|iPad/.test(navigator.userAgent);
const PAUSE = 300; // ms after the last change

/** A number is taken over when its field is left. */
function handOn(): void {
  const field = document.activeElement;
  if (!(field instanceof HTMLInputElement) || field.role === "combobox") return; // which would open when it is come to
  flushSync(() => field.blur());
  field.focus({ preventScroll: true });
}

/** Ctrl or ⌘ and Enter, from wherever on the page but a dialog. */
function useSendKey(send: () => void): void {
  const act = useEffectEvent(send);
  useEffect(() => {
    function onKey(event: KeyboardEvent) {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      if (event.target instanceof Element && event.target.closest('[role="dialog"]')) return;
      event.preventDefault();
      event.stopPropagation(); // Enter presses the button that has the focus, too
      handOn();
      act();
    }
    window.addEventListener("keydown", onKey, { capture: true });
    return () => window.removeEventListener("keydown", onKey, { capture: true });
  }, []);
}
