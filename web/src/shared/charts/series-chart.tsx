import { nice, ticks } from "d3-array";
import { line as lineOf, stack } from "d3-shape";
import { timeTicks } from "d3-time";
import { type KeyboardEvent, type PointerEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { when } from "@/shared/format/time";

import styles from "./series-chart.module.css";

export type Span = { since: number; until: number }; // ms

/** `values`: one for each span; null: there is none, and nothing is drawn. `name` is told, `id` tells apart. */
export type Series = { id: string; name: string; other?: boolean; values: readonly (number | null)[] };

const MARGIN = { top: 8, right: 8, bottom: 22, left: 68 };
const PALETTE = 8;

export function colour(index: number, other = false): string {
  return other ? "var(--series-other)" : `var(--series-${(index % PALETTE) + 1})`;
}

/**
 * What happened over time: stacked bars for what adds up, lines for what does not. Arrows walk along it; a press on a span, or Enter,
 * calls `onOpen` with it and the series pressed, if one was.
 */
export function SeriesChart({
  label,
  kind,
  spans,
  series,
  format,
  whole = false,
  height = 240,
  onOpen,
}: {
  label: string;
  kind: "bars" | "lines";
  spans: readonly Span[];
  series: readonly Series[];
  format: (value: number | null) => string;
  /** There are no halves of it: the axis has none either. */
  whole?: boolean;
  height?: number;
  onOpen?: (span: Span, series: Series | null) => void;
}) {
  const { t } = useTranslation();
  const frame = useRef<HTMLDivElement>(null);
  const id = useId();
  const [width, setWidth] = useState(0);
  const [at, setAt] = useState<number | null>(null);

  useEffect(() => {
    if (!frame.current) return;
    const observer = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width ?? 0));
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);

  const first = spans[0];
  const last = spans.at(-1);
  const inner = { width: Math.max(0, width - MARGIN.left - MARGIN.right), height: height - MARGIN.top - MARGIN.bottom };
  const began = first?.since ?? 0;
  const length = Math.max(1, (last?.until ?? 1) - began);
  const x = (moment: number) => ((moment - began) / length) * inner.width;
  const stacked = stack<number>()
    .keys(series.map((one) => one.id))
    .value((index, key) => series.find((one) => one.id === key)?.values[index] ?? 0)(spans.map((_, index) => index));
  const most =
    kind === "bars"
      ? Math.max(0, ...stacked.flatMap((layer) => layer.map((part) => part[1])))
      : Math.max(0, ...series.flatMap((one) => one.values.map((value) => value ?? 0)));
  const top = nice(0, most || 1, 4)[1];
  const y = (value: number) => inner.height * (1 - value / top);
  const levels = ticks(0, top, 4).filter((value) => !whole || Number.isInteger(value));
  const moments = timeTicks(new Date(began), new Date(began + length), Math.max(2, Math.floor(inner.width / 90)));

  function nearest(event: PointerEvent): number | null {
    const box = frame.current?.getBoundingClientRect();
    if (!box || spans.length === 0) return null;
    const moment = began + ((event.clientX - box.left - MARGIN.left) / inner.width) * length;
    const index = spans.findIndex((span) => moment < span.until);
    return index < 0 ? spans.length - 1 : index;
  }

  function onKeyDown(event: KeyboardEvent) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setAt((now) =>
        Math.min(spans.length - 1, Math.max(0, now === null ? (step > 0 ? 0 : spans.length - 1) : now + step)),
      );
    } else if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      setAt(event.key === "Home" ? 0 : spans.length - 1);
    } else if (event.key === "Enter" && at !== null) {
      open(at, null);
    } else if (event.key === "Escape") setAt(null);
  }

  function open(index: number, one: Series | null) {
    const span = spans[index];
    if (span) onOpen?.(span, one);
  }

  const shown = at === null ? undefined : spans[at];
  const there = shown ? x((shown.since + shown.until) / 2) + MARGIN.left : 0;
  const rows = shown && at !== null ? series.map((one, index) => ({ one, index, value: one.values[at] ?? null })) : [];
  const told = shown
    ? `${when(shown.since)}: ${rows.map((row) => `${row.one.name} ${format(row.value)}`).join(", ")}`
    : "";

  return (
    <div className={styles.frame} ref={frame} style={{ height }}>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- an application of one widget: arrows walk, Enter opens */}
      <div
        role="application"
        aria-roledescription={t("charts.chart")}
        aria-label={label}
        aria-describedby={id}
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- see above
        tabIndex={0}
        className={styles.chart}
        onKeyDown={onKeyDown}
        onBlur={() => setAt(null)}
        onPointerMove={(event) => setAt(nearest(event))}
        onPointerLeave={() => setAt(null)}
        onClick={() => {
          if (at !== null) open(at, null);
        }}
      >
        {width > 0 && (
          <svg width={width} height={height} aria-hidden="true" className={onOpen ? styles.opens : undefined}>
            <g transform={`translate(${MARGIN.left},${MARGIN.top})`}>
              {levels.map((value) => (
                <g key={value} transform={`translate(0,${y(value)})`}>
                  <line x2={inner.width} className={styles.grid} />
                  <text x={-8} dy="0.32em" className={styles.tick} textAnchor="end">
                    {format(value)}
                  </text>
                </g>
              ))}
              {moments.map((moment) => (
                <text
                  key={moment.getTime()}
                  x={x(moment.getTime())}
                  y={inner.height + 16}
                  className={styles.tick}
                  textAnchor={
                    x(moment.getTime()) < 20 ? "start" : x(moment.getTime()) > inner.width - 20 ? "end" : "middle"
                  }
                >
                  {tickText(moment)}
                </text>
              ))}
              {shown && (
                <rect
                  x={x(shown.since)}
                  width={Math.max(1, x(shown.until) - x(shown.since))}
                  height={inner.height}
                  className={styles.cursor}
                />
              )}
              {kind === "bars"
                ? stacked.map((layer, index) => {
                    const one = series[index];
                    if (!one) return null;
                    return (
                      <g key={one.id} fill={colour(index, one.other)}>
                        {layer.map((part, place) => {
                          const span = spans[place];
                          if (!span || part[1] <= part[0]) return null;
                          const left = x(span.since);
                          const gap = Math.min(2, (x(span.until) - left) * 0.15);
                          return (
                            <rect
                              key={span.since}
                              x={left + gap / 2}
                              width={Math.max(0.5, x(span.until) - left - gap)}
                              y={y(part[1])}
                              height={Math.max(0.5, y(part[0]) - y(part[1]))}
                              onClick={(event) => {
                                event.stopPropagation();
                                open(place, one);
                              }}
                            />
                          );
                        })}
                      </g>
                    );
                  })
                : series.map((one, index) => (
                    <path
                      key={one.id}
                      fill="none"
                      stroke={colour(index, one.other)}
                      strokeWidth={1.75}
                      strokeLinejoin="round"
                      d={
                        lineOf<number>()
                          .defined((place) => one.values[place] != null)
                          .x((place) => x(((spans[place]?.since ?? 0) + (spans[place]?.until ?? 0)) / 2))
                          .y((place) => y(one.values[place] ?? 0))(spans.map((_, place) => place)) ?? ""
                      }
                    />
                  ))}
            </g>
          </svg>
        )}
      </div>
      <div id={id} className="visually-hidden" aria-live="polite">
        {told}
      </div>
      {shown && (
        <div
          className={styles.card}
          style={there > width / 2 ? { right: width - there + 12 } : { left: there + 12 }}
          aria-hidden="true"
        >
          <strong>{spanText(shown)}</strong>
          {rows
            .filter((row) => kind === "lines" || row.value)
            .map((row) => (
              <Entry key={row.one.id} colour={colour(row.index, row.one.other)} name={row.one.name}>
                {format(row.value)}
              </Entry>
            ))}
        </div>
      )}
    </div>
  );
}

/** What the colours mean. */
export function Legend({ series }: { series: readonly Series[] }) {
  return (
    <ul className={styles.legend}>
      {series.map((one, index) => (
        <li key={one.id}>
          <span className={styles.swatch} style={{ background: colour(index, one.other) }} aria-hidden="true" />
          <span className="truncate">{one.name}</span>
        </li>
      ))}
    </ul>
  );
}

function Entry({ colour, name, children }: { colour: string; name: string; children: ReactNode }) {
  return (
    <div className={styles.entry}>
      <span className={styles.swatch} style={{ background: colour }} />
      <span className="truncate">{name}</span>
      <span className={styles.value}>{children}</span>
    </div>
  );
}

const DAY = 86_400_000;
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const minute = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

function tickText(moment: Date): string {
  return moment.getHours() === 0 && moment.getMinutes() === 0 ? day.format(moment) : clock.format(moment);
}

function spanText(span: Span): string {
  const format = span.until - span.since >= DAY - 3_600_000 ? day : minute;
  return format.format(span.since);
}
