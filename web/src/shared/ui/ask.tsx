import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { Confirm } from "./dialog";
import { done } from "./toast";

/**
 * Asks, does it, and says that it is done. What went wrong stands where it was asked, as does `problem`: why not all can be told of it.
 */
export function Ask({
  title,
  action,
  act,
  said,
  problem,
  children,
  onClose,
  onDone,
}: {
  title: string;
  action: string;
  act: () => Promise<unknown>;
  said: string;
  problem?: Error | null;
  children: ReactNode;
  onClose: () => void;
  onDone?: (() => void) | undefined;
}) {
  const { t } = useTranslation();
  const acting = useMutation({
    mutationFn: act,
    onSuccess: () => {
      done(said);
      onClose();
      onDone?.();
    },
  });
  const error = acting.error ?? problem;
  return (
    <Confirm
      isOpen
      title={title}
      action={action}
      isPending={acting.isPending}
      error={error ? error.message || t("problems.network") : undefined}
      onConfirm={() => acting.mutate()}
      onClose={onClose}
    >
      {children}
    </Confirm>
  );
}
