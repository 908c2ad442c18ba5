/** What the list can show of a trace, and what a person chose of it. */

import { Repeat2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { TraceRow } from "@/api/traces";
import { Cost, OutcomeBadge, Tokens } from "@/shared/calls/figures";
import { count, duration } from "@/shared/format/numbers";
import { Time } from "@/shared/format/time";
import type { GridColumn } from "@/shared/table-virtual/grid";

import styles from "./list.module.css";

export const COLUMNS = [
  "time",
  "status",
  "endpoint",
  "model",
  "request",
  "response",
  "tokens",
  "input",
  "output",
  "cached",
  "reasoning",
  "cost",
  "duration",
  "firstToken",
  "attempts",
  "key",
  "user",
  "session",
  "experiment",
  "format",
  "agent",
  "tags",
] as const;
export type ColumnId = (typeof COLUMNS)[number];
export const DEFAULT_COLUMNS: readonly ColumnId[] = [
  "time",
  "status",
  "endpoint",
  "model",
  "request",
  "response",
  "tokens",
  "cost",
  "duration",
  "firstToken",
];

const KEPT = "spangate.traces.columns";

/** In the order of `COLUMNS`. The time is always there: it is the link. */
export function chosenOf(said: string | null): readonly ColumnId[] {
  if (said === null) return DEFAULT_COLUMNS;
  const names = said.split(",");
  return COLUMNS.filter((id) => id === "time" || names.includes(id));
}

/** Kept in this browser. Where it keeps nothing, the choice holds for as long as the page. */
export function useColumns(): readonly [readonly ColumnId[], (chosen: readonly ColumnId[]) => void] {
  const [chosen, setChosen] = useState(() => {
    try {
      return chosenOf(localStorage.getItem(KEPT));
    } catch {
      return DEFAULT_COLUMNS;
    }
  });
  function choose(ids: readonly ColumnId[]) {
    const said = ids.join(",");
    setChosen(chosenOf(said));
    try {
      localStorage.setItem(KEPT, said);
    } catch {
      // It was a choice for this visit.
    }
  }
  return [chosen, choose];
}

export function useGridColumns(chosen: readonly ColumnId[]): GridColumn<TraceRow>[] {
  const { t } = useTranslation();
  return chosen.map((id) => ({ id, title: t(`traces.columns.${id}`), ...SHAPES[id] }));
}

type Shape = Omit<GridColumn<TraceRow>, "id" | "title">;

function plain(width: number, tell: (row: TraceRow) => string | null, grows?: number): Shape {
  return { width, ...(grows && { grows }), cell: (row) => <span className="truncate">{tell(row) ?? "–"}</span> };
}

function tokens(tell: (row: TraceRow) => number | null): Shape {
  return {
    width: 84,
    numeric: true,
    cell: (row) => <Tokens value={tell(row)} provenance={row.tokens.provenance} />,
  };
}

function preview(tell: (row: TraceRow) => string | null): Shape {
  return {
    width: 130,
    grows: 3,
    cell: (row) => <span className={styles.preview}>{tell(row) ?? "–"}</span>,
  };
}

function numeric(width: number, tell: (row: TraceRow) => string): Shape {
  return { width, numeric: true, cell: tell };
}

const SHAPES: Record<ColumnId, Shape> = {
  time: { width: 92, cell: (row) => <Time at={row.received_at} /> },
  status: { width: 124, cell: (row) => <OutcomeBadge status={row.status} /> },
  endpoint: plain(112, (row) => row.endpoint ?? row.requested_model, 1),
  model: {
    width: 136,
    grows: 1,
    cell: (row) => <Model row={row} />,
  },
  request: preview((row) => row.request_preview),
  response: preview((row) => row.fault?.message || row.response_preview),
  tokens: tokens((row) => row.tokens.total),
  input: tokens((row) => row.tokens.input),
  output: tokens((row) => row.tokens.output),
  cached: tokens((row) => row.tokens.cache_read),
  reasoning: tokens((row) => row.tokens.reasoning),
  cost: {
    width: 100,
    numeric: true,
    cell: (row) => <Cost cost={row.cost} estimated={row.cost_estimated} unpriced={row.unpriced_attempts} />,
  },
  duration: numeric(82, (row) => duration(row.duration_ms)),
  firstToken: numeric(90, (row) => duration(row.first_token_ms)),
  attempts: numeric(86, (row) => count(row.attempts)),
  key: plain(120, (row) => row.key, 1),
  user: plain(120, (row) => row.user, 1),
  session: plain(140, (row) => row.session, 1),
  experiment: plain(140, (row) => row.experiment, 1),
  format: plain(150, (row) => row.format),
  agent: plain(110, (row) => row.agent),
  tags: plain(
    160,
    (row) =>
      Object.entries(row.tags)
        .map(([key, value]) => `${key}:${value}`)
        .join(", ") || null,
    1,
  ),
};

function Model({ row }: { row: TraceRow }) {
  const { t } = useTranslation();
  return (
    <span className={styles.model}>
      <span className="truncate">{row.model ?? "–"}</span>
      {row.fell_back && (
        <span title={t("traces.fellBack", { count: row.attempts })}>
          <Repeat2 aria-label={t("traces.fellBack", { count: row.attempts })} />
        </span>
      )}
    </span>
  );
}
