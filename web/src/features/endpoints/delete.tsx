import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { deleteEndpoint, usesQuery } from "@/api/endpoints";
import { count, money } from "@/shared/format/numbers";
import { Ask } from "@/shared/ui/ask";
import { Skeleton } from "@/shared/ui/page";

import styles from "./list.module.css";

/** Says who would miss it, before it is gone. */
export function DeleteEndpoint({
  name,
  onClose,
  onDeleted,
}: {
  name: string;
  onClose: () => void;
  onDeleted?: () => void;
}) {
  const { t } = useTranslation();
  const uses = useQuery(usesQuery(name));
  return (
    <Ask
      title={t("endpoints.deleteTitle", { name })}
      action={t("endpoints.deleteAction")}
      act={() => deleteEndpoint(name)}
      said={t("endpoints.deleted", { name })}
      problem={uses.error}
      onClose={onClose}
      onDone={onDeleted}
    >
      <div className={styles.uses}>
        <p>{t("endpoints.deleteText")}</p>
        {uses.data ? (
          <ul>
            <li>
              {uses.data.calls_month === 0
                ? t("endpoints.usesNoCalls")
                : t("endpoints.usesCalls", {
                    day: count(uses.data.calls_day),
                    month: count(uses.data.calls_month),
                    cost: money(uses.data.cost_month),
                  })}
            </li>
            {uses.data.aliases.length > 0 && (
              <li>{t("endpoints.usesAliases", { aliases: uses.data.aliases.join(", ") })}</li>
            )}
            {uses.data.keys.map((key) => (
              <li key={key.key_id}>{t(key.only ? "endpoints.usesOnlyKey" : "endpoints.usesKey", { key: key.name })}</li>
            ))}
            {uses.data.bindings.map((binding) => (
              <li key={`${binding.resource_type} ${binding.resource_id}`}>
                {t("endpoints.usesBinding", {
                  kind: binding.resource_type,
                  name: binding.display_name ?? binding.resource_id,
                })}
              </li>
            ))}
          </ul>
        ) : (
          !uses.error && <Skeleton height="1.45em" />
        )}
      </div>
    </Ask>
  );
}
