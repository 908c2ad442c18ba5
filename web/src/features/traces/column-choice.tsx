import { Columns3 } from "lucide-react";
import { useTranslation } from "react-i18next";

import { Button } from "@/shared/ui/button";
import { Checkbox } from "@/shared/ui/switch";

import { type ColumnId, COLUMNS, DEFAULT_COLUMNS } from "./columns";
import { Drop } from "./drop";
import styles from "./list.module.css";

export function ColumnChoice({
  chosen,
  onChoose,
}: {
  chosen: readonly ColumnId[];
  onChoose: (chosen: readonly ColumnId[]) => void;
}) {
  const { t } = useTranslation();
  return (
    <Drop label={t("traces.chooseColumns")} trigger={<Button icon={<Columns3 />}>{t("traces.chooseColumns")}</Button>}>
      {() => (
        <>
          <div className={styles.choices}>
            {COLUMNS.map((id) => (
              <Checkbox
                key={id}
                label={t(`traces.columns.${id}`)}
                isSelected={chosen.includes(id)}
                isDisabled={id === "time"}
                onChange={(on) => onChoose(on ? [...chosen, id] : chosen.filter((one) => one !== id))}
              />
            ))}
          </div>
          <div className={styles.foot}>
            <Button look="ghost" size="s" onPress={() => onChoose(DEFAULT_COLUMNS)}>
              {t("traces.usualColumns")}
            </Button>
          </div>
        </>
      )}
    </Drop>
  );
}
