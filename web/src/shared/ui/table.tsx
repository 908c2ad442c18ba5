import type { ReactNode } from "react";
import {
  Cell as AriaCell,
  type CellProps,
  Column as AriaColumn,
  type ColumnProps,
  Row as AriaRow,
  type RowProps,
  Table as AriaTable,
  TableBody,
  TableHeader,
  type TableProps,
} from "react-aria-components";

import { classes } from "./classes";
import styles from "./table.module.css";

export { TableBody, TableHeader };

type Plain<Props> = Omit<Props, "className" | "style">;

/**
 * A grid that arrows walk through. A row with `href` is a link as a whole. Scrolls sideways where the window is narrow. `fixed`: columns are
 * as wide as they say, and share what is left, so that nothing moves when cells are filled later.
 */
export function Table({ label, fixed = false, ...props }: Plain<TableProps> & { label: string; fixed?: boolean }) {
  return (
    <div className={styles.scroll}>
      <AriaTable {...props} aria-label={label} className={classes(styles.table, fixed && styles.fixed)} />
    </div>
  );
}

export function Column({
  numeric = false,
  width,
  children,
  ...props
}: Omit<Plain<ColumnProps>, "width" | "children"> & { numeric?: boolean; width?: string; children?: ReactNode }) {
  return (
    <AriaColumn
      {...props}
      {...(width === undefined ? {} : { style: { width } })}
      className={classes(styles.column, numeric && styles.numeric)}
    >
      {({ allowsSorting, sortDirection }) => (
        <>
          {children}
          {allowsSorting && (
            <span aria-hidden="true" className={styles.sort}>
              {sortDirection === "ascending" ? "↑" : sortDirection === "descending" ? "↓" : ""}
            </span>
          )}
        </>
      )}
    </AriaColumn>
  );
}

export function Row<T extends object>(props: Plain<RowProps<T>>) {
  return <AriaRow {...props} className={styles.row ?? ""} />;
}

export function Cell({ numeric = false, ...props }: Plain<CellProps> & { numeric?: boolean }) {
  return <AriaCell {...props} className={classes(styles.cell, numeric && styles.numeric)} />;
}
