import { useQuery } from "@tanstack/react-query";
import { Copy, Ellipsis, Pencil, Play, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { sessionQuery } from "@/api/session";
import { IconButton } from "@/shared/ui/button";
import { Menu, MenuItem } from "@/shared/ui/menu";

import { DeleteEndpoint } from "./delete";

/** What can be done with an endpoint. */
export function EndpointMenu({
  name,
  size = "s",
  onDeleted,
}: {
  name: string;
  size?: "s" | "m";
  onDeleted?: () => void;
}) {
  const { t } = useTranslation();
  const { data: who } = useQuery(sessionQuery);
  const [deleting, setDeleting] = useState(false);
  const path = encodeURIComponent(name);
  const isDisabled = who?.role !== "admin";
  return (
    <>
      <Menu
        label={t("endpoints.actionsOf", { name })}
        trigger={
          <IconButton
            label={t("endpoints.actionsOf", { name })}
            icon={<Ellipsis />}
            size={size}
            look={size === "m" ? "secondary" : "ghost"}
          />
        }
      >
        <MenuItem icon={<Play />} href={`/playground?endpoint=${path}`}>
          {t("endpoints.playground")}
        </MenuItem>
        <MenuItem icon={<Pencil />} href={`/endpoints/${path}/edit`} isDisabled={isDisabled}>
          {t("endpoints.edit")}
        </MenuItem>
        <MenuItem icon={<Copy />} href={`/endpoints/new?from=${path}`} isDisabled={isDisabled}>
          {t("endpoints.duplicate")}
        </MenuItem>
        <MenuItem icon={<Trash2 />} danger isDisabled={isDisabled} onAction={() => setDeleting(true)}>
          {t("endpoints.delete")}
        </MenuItem>
      </Menu>
      {deleting && (
        <DeleteEndpoint name={name} onClose={() => setDeleting(false)} {...(onDeleted ? { onDeleted } : {})} />
      )}
    </>
  );
}
