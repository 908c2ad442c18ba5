import { ArrowDown, ArrowUp, Ellipsis, GripVertical, Pencil, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { Button as AriaButton, DropIndicator, GridList, GridListItem, useDragAndDrop } from "react-aria-components";
import { useTranslation } from "react-i18next";

import { Button, IconButton } from "@/shared/ui/button";
import { Dialog } from "@/shared/ui/dialog";
import { Menu, MenuItem } from "@/shared/ui/menu";

import { anyOf, type Draft, type Faults, moved, newTarget, sharedWith, type TargetDraft, within } from "./form";
import styles from "./form.module.css";
import { type Choices, TargetFields } from "./target-fields";

/** Where a call goes when the primaries fail: in this order, which is changed by dragging, from the keyboard, or by each row's menu. */
export function Fallbacks({
  draft,
  onChange,
  choices,
  faults,
}: {
  draft: Draft;
  onChange: (fallbacks: readonly TargetDraft[]) => void;
  choices: Choices;
  faults: Faults;
}) {
  const { t } = useTranslation();
  const { fallbacks } = draft;
  const [editing, setEditing] = useState<TargetDraft | null>(null);
  const titleOf = (target: TargetDraft) =>
    choices.providers.find(({ name }) => name === target.provider)?.title ?? target.provider ?? "";
  const nameOf = (target: TargetDraft) => target.model || t("endpoints.noModelYet");

  const { dragAndDropHooks } = useDragAndDrop<TargetDraft>({
    getItems: (keys) =>
      [...keys].map((key) => {
        const target = fallbacks.find(({ id }) => id === key);
        return { "text/plain": target ? nameOf(target) : "" };
      }),
    onReorder: ({ keys, target: { key, dropPosition } }) => {
      const id = [...keys][0];
      if (dropPosition === "on" || id === undefined || id === key) return;
      const rest = fallbacks.filter((target) => target.id !== id);
      const to = rest.findIndex((target) => target.id === key) + (dropPosition === "after" ? 1 : 0);
      onChange(moved(fallbacks, String(id), to));
    },
    renderDropIndicator: (target) => <DropIndicator target={target} className={styles.dropHere ?? ""} />,
  });

  function keep(target: TargetDraft) {
    onChange(
      fallbacks.some(({ id }) => id === target.id)
        ? fallbacks.map((one) => (one.id === target.id ? target : one))
        : [...fallbacks, target],
    );
    setEditing(null);
  }

  return (
    <div className={styles.stack}>
      {fallbacks.length > 0 && (
        <GridList
          aria-label={t("endpoints.fallbacks")}
          items={fallbacks}
          dependencies={[fallbacks, faults]}
          dragAndDropHooks={dragAndDropHooks}
          className={styles.fallbacks ?? ""}
          onAction={(key) => setEditing(fallbacks.find(({ id }) => id === key) ?? null)}
        >
          {(target) => {
            const place = fallbacks.indexOf(target);
            const wrong = anyOf(faults, target.id);
            return (
              <GridListItem id={target.id} textValue={nameOf(target)} className={styles.fallback ?? ""}>
                <AriaButton slot="drag" className={styles.grip ?? ""}>
                  <GripVertical aria-hidden="true" />
                </AriaButton>
                <span className={`numbers ${styles.number}`}>{place + 1}</span>
                <span className={styles.fallbackText}>
                  <span className="truncate">{nameOf(target)}</span>
                  <span className={styles.note}>
                    {titleOf(target)}
                    {" · "}
                    <Credential target={target} draft={draft} choices={choices} />
                  </span>
                  {wrong && <span className={styles.wrong}>{Object.values(within(faults, target.id)).join(" ")}</span>}
                </span>
                <Menu
                  label={t("endpoints.actions")}
                  trigger={<IconButton label={t("endpoints.actions")} icon={<Ellipsis />} />}
                >
                  <MenuItem icon={<Pencil />} onAction={() => setEditing(target)}>
                    {t("endpoints.edit")}
                  </MenuItem>
                  <MenuItem
                    icon={<ArrowUp />}
                    isDisabled={place === 0}
                    onAction={() => onChange(moved(fallbacks, target.id, place - 1))}
                  >
                    {t("endpoints.moveUp")}
                  </MenuItem>
                  <MenuItem
                    icon={<ArrowDown />}
                    isDisabled={place === fallbacks.length - 1}
                    onAction={() => onChange(moved(fallbacks, target.id, place + 1))}
                  >
                    {t("endpoints.moveDown")}
                  </MenuItem>
                  <MenuItem
                    icon={<Trash2 />}
                    danger
                    onAction={() => onChange(fallbacks.filter(({ id }) => id !== target.id))}
                  >
                    {t("endpoints.remove")}
                  </MenuItem>
                </Menu>
              </GridListItem>
            );
          }}
        </GridList>
      )}
      <div className={styles.row}>
        <Button size="s" icon={<Plus />} onPress={() => setEditing(newTarget())}>
          {t("endpoints.addFallback")}
        </Button>
        <span className={styles.note}>{t(fallbacks.length ? "endpoints.orderHint" : "endpoints.fallbacksHint")}</span>
      </div>
      {editing && (
        <Editor
          initial={editing}
          isNew={!fallbacks.some(({ id }) => id === editing.id)}
          draft={draft}
          choices={choices}
          faults={within(faults, editing.id)}
          onKeep={keep}
          onClose={() => setEditing(null)}
        />
      )}
    </div>
  );
}

function Credential({ target, draft, choices }: { target: TargetDraft; draft: Draft; choices: Choices }) {
  const { t } = useTranslation();
  const { credential } = target;
  if (credential.kind === "none") return t("endpoints.noCredential");
  if (credential.kind === "new") return credential.secret.name;
  if (credential.kind === "shared")
    return sharedWith(draft, target).find((one) => one.with === credential.with)?.name ?? "";
  return choices.secrets.find((secret) => secret.secret_id === credential.secretId)?.name ?? "";
}

function Editor({
  initial,
  isNew,
  draft,
  choices,
  faults,
  onKeep,
  onClose,
}: {
  initial: TargetDraft;
  isNew: boolean;
  draft: Draft;
  choices: Choices;
  faults: Faults;
  onKeep: (target: TargetDraft) => void;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const [target, setTarget] = useState(initial);
  return (
    <Dialog
      title={t(isNew ? "endpoints.addFallback" : "endpoints.editFallback")}
      isOpen
      isDismissable={false}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" isDisabled={!target.provider || !target.model.trim()} onPress={() => onKeep(target)}>
            {t(isNew ? "endpoints.add" : "endpoints.apply")}
          </Button>
        </>
      }
    >
      <div className={styles.narrow}>
        <TargetFields
          target={target}
          onChange={setTarget}
          choices={choices}
          shared={sharedWith(draft, target)}
          faults={faults}
        />
      </div>
    </Dialog>
  );
}
