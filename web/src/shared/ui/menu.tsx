import type { ReactElement, ReactNode } from "react";
import {
  Menu as AriaMenu,
  MenuItem as AriaMenuItem,
  type MenuItemProps,
  MenuTrigger,
  Popover,
} from "react-aria-components";

import { classes } from "./classes";
import styles from "./menu.module.css";

/** What a press on `trigger` offers. */
export function Menu({ trigger, label, children }: { trigger: ReactElement; label: string; children: ReactNode }) {
  return (
    <MenuTrigger>
      {trigger}
      <Popover className={styles.popover ?? ""} offset={4}>
        <AriaMenu aria-label={label} className={styles.menu ?? ""}>
          {children}
        </AriaMenu>
      </Popover>
    </MenuTrigger>
  );
}

export function MenuItem({
  icon,
  danger = false,
  children,
  ...props
}: Omit<MenuItemProps, "className" | "style" | "children"> & {
  icon?: ReactNode;
  danger?: boolean;
  children: ReactNode;
}) {
  return (
    <AriaMenuItem {...props} className={classes(styles.item, danger && styles.danger)}>
      {icon}
      {children}
    </AriaMenuItem>
  );
}
