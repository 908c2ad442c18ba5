import { useMutation, useQuery } from "@tanstack/react-query";
import { useBlocker } from "@tanstack/react-router";
import { useDeferredValue, useEffect, useRef, useState } from "react";
import { Form } from "react-aria-components";
import { useTranslation } from "react-i18next";

import { ApiProblem } from "@/api/client";
import { createEndpoint, type Endpoint, replaceEndpoint } from "@/api/endpoints";
import { experimentsQuery } from "@/api/experiments";
import { ExperimentPicker } from "@/shared/pickers/experiment-picker";
import { Tags } from "@/shared/pickers/tags";
import { Button } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Confirm } from "@/shared/ui/dialog";
import { Select } from "@/shared/ui/choice";
import { TextField } from "@/shared/ui/field";
import { Switch } from "@/shared/ui/switch";
import { Panel } from "@/shared/ui/page";

import { Aliases } from "./aliases";
import { Fallbacks } from "./fallbacks";
import {
  anyOf,
  defaultExperiment,
  documentOf,
  type Draft,
  type Faults,
  nameFor,
  placed,
  settled,
  sumOfShares,
  type TargetDraft,
  within,
} from "./form";
import styles from "./form.module.css";
import { Primaries } from "./primaries";
import { Section } from "./section";
import type { Choices } from "./target-fields";
import { summaryOf, Timeouts, TIMEOUTS } from "./timeouts";

const CONTENT = ["full", "metadata"] as const;

/** An endpoint, made or changed. `begin`: what it is before anyone types; `before`: as it was read, if there is one. `onReload`: forgets what was written here. */
export function EndpointForm({
  begin,
  before: read,
  choices,
  onDone,
  onCancel,
  onReload,
}: {
  begin: () => Draft;
  before: Endpoint | null;
  choices: Choices;
  onDone: (endpoint: Endpoint) => void;
  onCancel: () => void;
  onReload?: () => void;
}) {
  const { t } = useTranslation();
  const [before] = useState(read); // what is sent is held against what was read, not against what there is by now
  const [initial] = useState(begin);
  const [draft, setDraft] = useState(initial);
  const [faults, setFaults] = useState<Faults>({});
  const [named, setNamed] = useState(initial.name !== "");
  const [words, setWords] = useState("");
  const experiments = useQuery(experimentsQuery({ q: useDeferredValue(words) }));
  const form = useRef<HTMLFormElement>(null);
  const leaving = useRef(false); // saved, or given up on purpose

  const save = useMutation({
    mutationFn: ({ anyhow }: { anyhow: boolean }) => {
      const asked = documentOf(draft, choices.providers, before);
      return before ? replaceEndpoint(before.name, asked, anyhow ? null : before.updated_at) : createEndpoint(asked);
    },
    onMutate: () => setFaults({}),
    onSuccess: (endpoint) => {
      leaving.current = true;
      onDone(endpoint);
    },
    onError: (error) => setFaults(error instanceof ApiProblem ? placed(error.fields, draft) : {}),
  });

  // Where the first thing is wrong, there the keyboard is. Once: faults go as fields are corrected, and the keyboard stays with who types.
  const refused = save.error;
  useEffect(() => {
    if (refused) form.current?.querySelector<HTMLElement>('[aria-invalid="true"], [data-invalid] button')?.focus();
  }, [refused]);

  const blocker = useBlocker({
    shouldBlockFn: () => draft !== initial && !leaving.current,
    enableBeforeUnload: () => draft !== initial && !leaving.current,
    withResolver: true,
  });

  /** What is changed is not known to be wrong any more. */
  function change(changes: Partial<Draft>, ...fields: readonly string[]) {
    setDraft((last) => settled({ ...last, ...changes }, last));
    setFaults((last) => {
      const left = Object.entries(last).filter(([name]) => !anyOf({ [name]: "" }, ...fields));
      return left.length === Object.keys(last).length ? last : Object.fromEntries(left);
    });
  }

  function changeTargets(group: "primaries" | "fallbacks", targets: readonly TargetDraft[]) {
    const touched = draft[group].filter((target) => !targets.includes(target)).map(({ id }) => id);
    const model = targets[0]?.model ?? "";
    const name = group === "primaries" && !named ? { name: nameFor(model) } : {};
    change({ [group]: targets, ...name }, group, ...touched);
  }

  const whole = draft.primaries.length < 2 || sumOfShares(draft.primaries) === 100;
  const outdated = save.error instanceof ApiProblem && save.error.status === 409;
  const bare = draft.settings.content === "metadata";
  const ids = draft.fallbacks.map(({ id }) => id);
  return (
    <Form
      ref={form}
      validationBehavior="aria"
      className={styles.form ?? ""}
      onSubmit={(event) => {
        event.preventDefault();
        if (whole && !save.isPending) save.mutate({ anyhow: false });
      }}
    >
      <Panel>
        <div className={styles.stackL}>
          <div className={styles.name}>
            <TextField
              label={t("endpoints.name")}
              description={t("endpoints.nameHint")}
              value={draft.name}
              onChange={(name) => {
                setNamed(name !== "");
                change({ name }, "name");
              }}
              error={faults.name}
              autoFocus={before === null}
              autoComplete="off"
              spellCheck="false"
              placeholder={t("endpoints.nameExample")}
            />
            {before && draft.name.trim() !== before.name && (
              <p className={styles.caution}>{t("endpoints.renameHint", { name: before.name })}</p>
            )}
          </div>
          <Primaries
            draft={draft}
            onChange={(primaries) => changeTargets("primaries", primaries)}
            choices={choices}
            faults={faults}
          />
        </div>
      </Panel>

      <div className={styles.sections}>
        <Section
          title={t("endpoints.fallbacks")}
          summary={draft.fallbacks.map(({ model }) => model).join(", ") || t("endpoints.noFallbacks")}
          wrong={anyOf(faults, "fallbacks", ...ids)}
        >
          <Fallbacks
            draft={draft}
            onChange={(fallbacks) => changeTargets("fallbacks", fallbacks)}
            choices={choices}
            faults={faults}
          />
        </Section>
        <Section
          title={t("endpoints.timeouts")}
          summary={summaryOf(draft, t)}
          wrong={anyOf(faults, "max_attempts", ...TIMEOUTS.map((name) => `settings.${name}`), "settings.client_gone")}
        >
          <Timeouts draft={draft} onChange={change} faults={faults} />
        </Section>
        <Section
          title={t("endpoints.tracing")}
          summary={
            draft.usageTracking
              ? t(bare ? "endpoints.tracesBareInto" : "endpoints.tracesInto", {
                  experiment: draft.experiment.trim() || defaultName(draft),
                })
              : t("endpoints.untraced")
          }
          wrong={anyOf(faults, "usage_tracking", "experiment", "settings.content")}
        >
          <div className={styles.stackL}>
            <Switch
              label={t("endpoints.usageTracking")}
              description={t("endpoints.usageTrackingHint")}
              isSelected={draft.usageTracking}
              onChange={(usageTracking) => change({ usageTracking }, "usage_tracking", "experiment")}
            />
            <div className={styles.name}>
              <ExperimentPicker
                experiments={experiments.data?.experiments ?? []}
                value={draft.experiment}
                onChange={(experiment) => change({ experiment }, "experiment")}
                onSearch={setWords}
                placeholder={defaultName(draft)}
                description={t("endpoints.experimentHint", { experiment: defaultName(draft) })}
                isDisabled={!draft.usageTracking}
                error={faults["experiment.name"] ?? faults["experiment.id"] ?? faults.experiment}
              />
            </div>
            <Select
              label={t("endpoints.content")}
              description={t("endpoints.contentHint")}
              isDisabled={!draft.usageTracking}
              value={bare ? "metadata" : "full"}
              options={CONTENT.map((value) => ({ value, label: t(`endpoints.contents.${value}`) }))}
              onChange={(content) =>
                change(
                  { settings: { ...draft.settings, content: content === "full" ? null : content } },
                  "settings.content",
                )
              }
              error={faults["settings.content"]}
            />
          </div>
        </Section>
        <Section
          title={t("endpoints.names")}
          summary={
            [
              draft.aliases.join(", "),
              draft.tags
                .filter(([name]) => name)
                .map(([name, value]) => `${name}: ${value}`)
                .join(", "),
            ]
              .filter(Boolean)
              .join(" · ") || t("endpoints.noNames")
          }
          wrong={anyOf(faults, "aliases", "tags")}
        >
          <div className={styles.stackL}>
            <Aliases
              aliases={draft.aliases}
              onChange={(aliases) => change({ aliases }, "aliases")}
              faults={within(faults, "aliases")}
            />
            <div className={styles.stackS}>
              <Tags label={t("endpoints.tags")} rows={draft.tags} onChange={(tags) => change({ tags }, "tags")} />
              {Object.entries(within(faults, "tags")).map(([name, said]) => (
                <p key={name} className={styles.wrong}>
                  {`${name}: ${said}`}
                </p>
              ))}
            </div>
          </div>
        </Section>
      </div>

      {save.error && (
        <Callout
          tone="bad"
          title={t(outdated ? "endpoints.outdated" : before ? "endpoints.notSaved" : "endpoints.notCreated")}
          action={
            outdated && (
              <div className={styles.row}>
                {onReload && <Button onPress={onReload}>{t("endpoints.reload")}</Button>}
                <Button look="danger" onPress={() => save.mutate({ anyhow: true })}>
                  {t("endpoints.saveAnyhow")}
                </Button>
              </div>
            )
          }
        >
          {Object.keys(faults).length > 0 ? t("endpoints.seeFields") : save.error.message || t("problems.network")}
          <Unplaced faults={faults} draft={draft} />
        </Callout>
      )}
      <div className={styles.foot}>
        {/* Never disabled: a share is taken over when its field is left, which is with the press itself. */}
        <Button type="submit" look="primary" isPending={save.isPending}>
          {t(before ? "endpoints.save" : "endpoints.create")}
        </Button>
        <Button onPress={onCancel}>{t("common.cancel")}</Button>
        {!whole && <span className={styles.wrong}>{t("endpoints.splitFirst")}</span>}
      </div>

      <Confirm
        title={t("endpoints.leave")}
        action={t("endpoints.leaveAction")}
        isOpen={blocker.status === "blocked"}
        onConfirm={() => blocker.proceed?.()}
        onClose={() => blocker.reset?.()}
      >
        {t("endpoints.leaveText")}
      </Confirm>
    </Form>
  );
}

function defaultName(draft: Draft): string {
  return defaultExperiment(draft.name.trim() || "…");
}

/** What is wrong with something that this form has no field for: a setting that another program made. */
function Unplaced({ faults, draft }: { faults: Faults; draft: Draft }) {
  const shown = [
    ...draft.primaries.map(({ id }) => id),
    ...draft.fallbacks.map(({ id }) => id),
    ...TIMEOUTS.map((name) => `settings.${name}`),
    ...[
      "name",
      "primaries",
      "max_attempts",
      "experiment",
      "aliases",
      "tags",
      "settings.client_gone",
      "settings.content",
    ],
  ];
  const rest = Object.entries(faults).filter(([name]) => !anyOf({ [name]: "" }, ...shown));
  if (rest.length === 0) return null;
  return (
    <ul>
      {rest.map(([name, said]) => (
        <li key={name}>{name ? `${name}: ${said}` : said}</li>
      ))}
    </ul>
  );
}
