/** Where each span of a call lies on the line from its receipt to its end. */

import type { Trace, TraceAttempt } from "@/api/traces";

export type Stretch = { from: number; to: number };
export type Lane = {
  id: string;
  name: string;
  attempt: TraceAttempt | null;
  next: TraceAttempt | null;
  failed: boolean;
  bar: Stretch;
  /** Between the end of the attempt before and the start of this one. */
  wait: Stretch | null;
  firstByte: number | null;
  firstToken: number | null;
  attributes: Readonly<Record<string, string>>;
  description: string;
};

export function lanesOf(trace: Trace): { lanes: Lane[]; length: number } {
  const length = Math.max(
    trace.duration_ms ?? 0,
    ...trace.marks.map((mark) => mark.at_ms),
    ...trace.spans.map((span) => span.end_ns / 1e6),
    0.001,
  );
  let no = 0;
  const lanes = trace.spans.map((span): Lane => {
    const index = span.kind === "attempt" ? no++ : -1;
    const attempt = trace.tried[index] ?? null;
    const before = trace.tried[index - 1];
    const from = span.start_ns / 1e6;
    return {
      id: span.span_id,
      name: attempt === null ? (trace.endpoint ?? span.name) : `${attempt.provider} · ${attempt.model}`,
      attempt,
      next: attempt === null ? null : (trace.tried[index + 1] ?? null),
      failed: attempt === null ? trace.status !== "ok" : attempt.status !== "ok",
      bar: { from, to: Math.max(from, span.end_ns / 1e6) },
      wait: before?.ended_ms == null || before.ended_ms >= from ? null : { from: before.ended_ms, to: from },
      firstByte: attempt?.headed_ms ?? null,
      firstToken: attempt?.first_token_ms ?? null,
      attributes: span.attributes,
      description: span.description,
    };
  });
  return { lanes, length };
}

/** Round numbers along the line: about so many. */
export function ticksOf(length: number, about = 5): number[] {
  const rough = length / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough) ?? rough;
  const ticks = [];
  for (let no = 0; no * step <= length * 0.96; no++) ticks.push(no * step);
  return ticks;
}
