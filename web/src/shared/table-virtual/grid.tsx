/**
 * A table of any length: only the rows in sight are drawn, and more are asked for before its end is reached.
 * Each row is a link, a real one: it can be opened in a new tab. One tab stop; arrows, j and k walk through the rows.
 */

import { useRouter } from "@tanstack/react-router";
import { defaultRangeExtractor, useVirtualizer, type Range } from "@tanstack/react-virtual";
import {
  type KeyboardEvent,
  type MouseEvent,
  type ReactNode,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";

import { useShortcut } from "@/shared/shortcuts";
import { classes } from "@/shared/ui/classes";
import { Skeleton } from "@/shared/ui/page";

import styles from "./grid.module.css";

export type GridColumn<Item> = {
  id: string;
  title: string;
  /** Pixels. With `grows`, shares of what is left over are added. */
  width: number;
  grows?: number;
  numeric?: boolean;
  cell: (item: Item) => ReactNode;
};

const OVERSCAN = 12; // rows beyond the edge: a turn of the wheel finds them drawn
const AHEAD = 40; // rows before the end at which the next page is asked for
const WAITING = 12; // rows that stand for those to come
const STAY = 100; // ms at a row that are no passing by

export function VirtualGrid<Item>({
  label,
  columns,
  rows,
  idOf,
  hrefOf,
  nameOf,
  hasMore = false,
  isLoading = false,
  onMore,
  onTop,
  onIntent,
  rowHeight = 36,
  empty,
}: {
  label: string;
  /** The link of a row is in the first one. */
  columns: readonly GridColumn<Item>[];
  rows: readonly Item[];
  idOf: (item: Item) => string;
  hrefOf: (item: Item) => string;
  /** What the link of a row is called. */
  nameOf: (item: Item) => string;
  hasMore?: boolean;
  isLoading?: boolean;
  onMore?: () => void;
  /** Whether nothing is above what is in sight. */
  onTop?: (atTop: boolean) => void;
  /** Somebody stays at the row: what it leads to may be fetched. */
  onIntent?: (item: Item) => void;
  rowHeight?: number;
  /** In place of the rows, if there are none. */
  empty?: ReactNode;
}) {
  const router = useRouter();
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState<string | null>(null);
  const [focusing, setFocusing] = useState<string | null>(null);
  const waiting = hasMore || isLoading ? (rows.length ? WAITING : WAITING * 2) : 0;
  const activeIndex = Math.max(
    0,
    rows.findIndex((row) => idOf(row) === active),
  );

  // eslint-disable-next-line react-hooks/incompatible-library -- nothing of it is handed on
  const virtual = useVirtualizer({
    count: rows.length + waiting,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    getItemKey: useCallback(
      (index: number) => {
        const row = rows[index];
        return row === undefined ? `waiting-${index - rows.length}` : idOf(row);
      },
      [rows, idOf],
    ),
    overscan: OVERSCAN,
    scrollPaddingStart: rowHeight, // the head
    // The row that has the tab stop is always there: else the keyboard would fall out of the table.
    rangeExtractor: useCallback(
      (range: Range) => {
        const shown = defaultRangeExtractor(range);
        if (activeIndex < range.count && !shown.includes(activeIndex)) shown.push(activeIndex);
        return shown.sort((a, b) => a - b);
      },
      [activeIndex],
    ),
  });
  const items = virtual.getVirtualItems();

  const last = virtual.range?.endIndex ?? 0;
  const wanting = hasMore && last >= rows.length - AHEAD;
  useEffect(() => {
    if (wanting) onMore?.();
  }, [wanting, onMore, rows.length]);

  useStay(scroller, rows, idOf, rowHeight);
  useEffect(() => onTop?.(true), [onTop]);

  const staying = useRef<ReturnType<typeof setTimeout>>(undefined);
  const leave = () => clearTimeout(staying.current);
  function stay(row: Item) {
    leave();
    staying.current = setTimeout(() => onIntent?.(row), STAY);
  }
  useEffect(() => () => clearTimeout(staying.current), []);

  useLayoutEffect(() => {
    if (focusing === null) return;
    const link = scroller.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(focusing)}"] a`);
    if (!link) return;
    link.focus({ preventScroll: true });
    setFocusing(null);
  }, [focusing, items]);

  function go(to: number) {
    const index = Math.max(0, Math.min(rows.length - 1, to));
    const row = rows[index];
    if (row === undefined) return;
    setActive(idOf(row));
    setFocusing(idOf(row));
    virtual.scrollToIndex(index, { align: "auto" });
    stay(row);
  }

  const inside = () => scroller.current?.contains(document.activeElement) ?? false;
  const step = (by: number) => go(inside() ? activeIndex + by : activeIndex);
  useShortcut(["j"], () => step(1));
  useShortcut(["k"], () => step(-1));

  function walk(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / rowHeight) - 2);
    const to = {
      ArrowDown: activeIndex + 1,
      ArrowUp: activeIndex - 1,
      PageDown: activeIndex + page,
      PageUp: activeIndex - page,
      Home: 0,
      End: rows.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  }

  /** What of a row lies above its link, to be pointed at, still leads where the row does. */
  function follow(event: MouseEvent) {
    const target = event.target as Element;
    const link = target.closest("a, button") ? null : target.closest("[role=row]")?.querySelector("a");
    if (!link) return;
    const { ctrlKey, metaKey, shiftKey } = event;
    link.dispatchEvent(new window.MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey, metaKey, shiftKey }));
  }

  const template = columns
    .map(({ width, grows }) => (grows ? `minmax(${width}px, ${grows}fr)` : `${width}px`))
    .join(" ");
  const least = columns.reduce((sum, { width }) => sum + width, 0);
  if (!rows.length && !waiting && empty !== undefined) return <div className={styles.frame}>{empty}</div>;
  return (
    <div className={styles.frame}>
      {/* eslint-disable-next-line jsx-a11y/interactive-supports-focus -- its rows have the focus, and links do what Enter does */}
      <div
        ref={scroller}
        role="grid"
        aria-label={label}
        aria-busy={isLoading}
        aria-rowcount={hasMore ? -1 : rows.length + 1}
        aria-colcount={columns.length}
        className={styles.scroller}
        onKeyDown={walk}
        onClick={follow}
        onScroll={({ currentTarget }) => onTop?.(currentTarget.scrollTop <= 0)}
      >
        <div role="rowgroup" className={styles.head} style={{ minWidth: least }}>
          <div role="row" aria-rowindex={1} className={styles.headRow} style={{ gridTemplateColumns: template }}>
            {columns.map((column) => (
              <div
                key={column.id}
                role="columnheader"
                className={classes(styles.column, column.numeric && styles.numeric)}
              >
                {column.title}
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" className={styles.body} style={{ height: virtual.getTotalSize(), minWidth: least }}>
          {items.map((item) => {
            const row = rows[item.index];
            const place = {
              height: rowHeight,
              gridTemplateColumns: template,
              transform: `translateY(${item.start}px)`,
            };
            if (row === undefined)
              return (
                <div key={item.key} className={styles.row} style={place} aria-hidden="true">
                  {columns.map((column) => (
                    <div key={column.id} className={classes(styles.cell, column.numeric && styles.numeric)}>
                      <Skeleton width="70%" height="12px" />
                    </div>
                  ))}
                </div>
              );
            const href = hrefOf(row);
            return (
              <div
                key={item.key}
                role="row"
                aria-rowindex={item.index + 2}
                data-id={idOf(row)}
                className={styles.row}
                style={place}
                onPointerEnter={() => stay(row)}
                onPointerLeave={leave}
              >
                {columns.map((column, at) => (
                  <div
                    key={column.id}
                    role={at === 0 ? "rowheader" : "gridcell"}
                    className={classes(styles.cell, column.numeric && styles.numeric)}
                  >
                    {at === 0 ? (
                      <a
                        href={href}
                        className={styles.link}
                        tabIndex={item.index === activeIndex ? 0 : -1}
                        aria-label={nameOf(row)}
                        onFocus={() => setActive(idOf(row))}
                        onClick={(event) => {
                          if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
                          event.preventDefault();
                          void router.navigate({ href });
                        }}
                      >
                        {column.cell(row)}
                      </a>
                    ) : (
                      column.cell(row)
                    )}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** Rows that come in above leave what is being read where it is; at the top they are seen at once. */
function useStay<Item>(
  scroller: { readonly current: HTMLElement | null },
  rows: readonly Item[],
  idOf: (item: Item) => string,
  rowHeight: number,
): void {
  const first = useRef<string | null>(null);
  useLayoutEffect(() => {
    const before = first.current;
    first.current = rows[0] === undefined ? null : idOf(rows[0]);
    if (before === null || before === first.current) return;
    const above = rows.findIndex((row) => idOf(row) === before);
    const element = scroller.current;
    if (element && above > 0 && element.scrollTop > 0) element.scrollBy(0, above * rowHeight);
  }, [scroller, rows, idOf, rowHeight]);
}
