import { useTranslation } from "react-i18next";

import { Dialog } from "@/shared/ui/dialog";

import type { Place } from "./shell";
import styles from "./shortcut-list.module.css";

const ARROWS = ["↑", "↓"];

export function ShortcutList({
  places,
  isOpen,
  onClose,
}: {
  places: readonly Place[];
  isOpen: boolean;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const rows = [
    { keys: ["?"], does: t("shortcuts.help") },
    { keys: ["/"], does: t("shortcuts.search") },
    { keys: ARROWS, does: t("shortcuts.arrows") },
    ...places.map((place) => ({ keys: ["g", place.key], does: t("shortcuts.go", { page: t(`nav.${place.page}`) }) })),
  ];
  return (
    <Dialog title={t("shortcuts.title")} size="s" isOpen={isOpen} onClose={onClose}>
      <dl className={styles.list}>
        {rows.map(({ keys, does }) => (
          <div key={does} className={styles.row}>
            <dt>{does}</dt>
            <dd>
              {keys.map((key) => (
                <kbd key={key} className={styles.key}>
                  {key}
                </kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
