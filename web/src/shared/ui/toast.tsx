import { X } from "lucide-react";
import { useTranslation } from "react-i18next";
import {
  Text,
  UNSTABLE_Toast as Toast,
  UNSTABLE_ToastContent as ToastContent,
  UNSTABLE_ToastQueue as ToastQueue,
  UNSTABLE_ToastRegion as ToastRegion,
} from "react-aria-components";

import { IconButton } from "./button";
import styles from "./toast.module.css";

const queue = new ToastQueue<{ text: string }>({ maxVisibleToasts: 3 });

/** Says that something was done, where the page that did it is gone. What failed is said beside where it failed instead. */
export function done(text: string): void {
  queue.add({ text }, { timeout: 5000 });
}

export function Toasts() {
  const { t } = useTranslation();
  return (
    <ToastRegion queue={queue} aria-label={t("common.notices")} className={styles.region ?? ""}>
      {({ toast }) => (
        <Toast toast={toast} className={styles.toast ?? ""}>
          <ToastContent className={styles.content ?? ""}>
            <Text slot="title">{toast.content.text}</Text>
          </ToastContent>
          <IconButton slot="close" label={t("common.close")} icon={<X />} />
        </Toast>
      )}
    </ToastRegion>
  );
}
