import { X } from "lucide-react";
import type { ReactNode } from "react";
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { useTranslation } from "react-i18next";

import { Button, IconButton, type Look } from "./button";
import { Callout } from "./callout";
import { classes } from "./classes";
import styles from "./dialog.module.css";

type Open = { isOpen: boolean; onClose: () => void };

/** `side`: at the right edge and as high as the window, for what belongs to what is seen beside it. */
export function Dialog({
  title,
  size = "m",
  side = false,
  isDismissable = true,
  children,
  footer,
  isOpen,
  onClose,
}: Open & {
  title: string;
  size?: "s" | "m" | "l";
  side?: boolean;
  isDismissable?: boolean;
  children: ReactNode;
  footer?: ReactNode;
}) {
  const { t } = useTranslation();
  return (
    <ModalOverlay
      isOpen={isOpen}
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
      isDismissable={isDismissable}
      className={classes(styles.shade, side && styles.atSide)}
    >
      <Modal className={classes(styles.modal, styles[size], side && styles.side)}>
        <AriaDialog className={styles.dialog ?? ""}>
          <header className={styles.header}>
            <Heading slot="title">{title}</Heading>
            <IconButton label={t("common.close")} icon={<X />} onPress={onClose} />
          </header>
          <div className={styles.body}>{children}</div>
          {footer !== undefined && <footer className={styles.footer}>{footer}</footer>}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

/** Asks before what cannot be taken back. `action` says what the button does ("Delete endpoint"), never "OK". */
export function Confirm({
  title,
  action,
  look = "danger",
  isPending = false,
  error,
  children,
  onConfirm,
  isOpen,
  onClose,
}: Open & {
  title: string;
  action: string;
  look?: Look;
  isPending?: boolean;
  error?: string | undefined;
  children: ReactNode;
  onConfirm: () => void;
}) {
  const { t } = useTranslation();
  return (
    <Dialog
      title={title}
      size="s"
      isOpen={isOpen}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look={look} isPending={isPending} onPress={onConfirm}>
            {action}
          </Button>
        </>
      }
    >
      {children}
      {error && <Callout tone="bad">{error}</Callout>}
    </Dialog>
  );
}
