import type { ReactNode } from "react";

import { classes } from "./classes";
import styles from "./page.module.css";

/** A page: its title in the window and on the page, what can be done with it as a whole, and its content. `wide`: to the window's edge. */
export function Page({
  title,
  heading,
  above,
  description,
  actions,
  wide = false,
  fill = false,
  children,
}: {
  title: string;
  heading?: ReactNode;
  above?: ReactNode;
  description?: ReactNode;
  actions?: ReactNode;
  wide?: boolean;
  /** As high as the window: the content scrolls by itself. */
  fill?: boolean;
  children: ReactNode;
}) {
  return (
    <div className={classes(styles.page, wide && styles.wide, fill && styles.fill)}>
      <title>{`${title} · Spangate`}</title>
      <header className={styles.header}>
        <div className={styles.titles}>
          {above}
          <h1>{heading ?? title}</h1>
          {description !== undefined && <p className={styles.description}>{description}</p>}
        </div>
        {actions !== undefined && <div className={styles.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function Panel({
  title,
  description,
  actions,
  flush = false,
  children,
}: {
  title?: ReactNode;
  description?: ReactNode;
  actions?: ReactNode;
  /** Content to the panel's edges: tables. */
  flush?: boolean;
  children: ReactNode;
}) {
  return (
    <section className={classes(styles.panel, flush && styles.flush)}>
      {(title !== undefined || actions !== undefined) && (
        <header className={styles.panelHeader}>
          <div>
            <h2 className={styles.panelTitle}>{title}</h2>
            {description !== undefined && <p className={styles.panelDescription}>{description}</p>}
          </div>
          {actions !== undefined && <div className={styles.actions}>{actions}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

/** Nothing here yet, and what to do about it. */
export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={styles.empty}>
      {icon !== undefined && (
        <span className={styles.emptyIcon} aria-hidden="true">
          {icon}
        </span>
      )}
      <h2 className={styles.panelTitle}>{title}</h2>
      {children !== undefined && <p>{children}</p>}
      {action}
    </div>
  );
}

/** Holds the place of what is being fetched, so that nothing moves when it comes. Sizes are CSS lengths. */
export function Skeleton({ width = "100%", height = "1em" }: { width?: string; height?: string }) {
  return <span className={styles.skeleton} style={{ width, height }} aria-hidden="true" />;
}

/** Terms and what they are. */
export function Facts({ children, columns = 1 }: { children: ReactNode; columns?: 1 | 2 | 3 }) {
  return <dl className={classes(styles.facts, styles[`columns${columns}`])}>{children}</dl>;
}

export function Fact({ term, children }: { term: ReactNode; children: ReactNode }) {
  return (
    <div className={styles.fact}>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
