/** An answer as far as it has come, in no provider's words. */

import type { ToolCall } from "./draft";

/** `finish`: why it ended, in the provider's own word; null: it has not, as far as was said. */
export type Choice = {
  text: string;
  thinking: string;
  refusal: string;
  calls: readonly (ToolCall & { index: number })[];
  finish: string | null;
};
/** `ended`: the stream has said that nothing more comes. */
export type Answer = { choices: readonly Choice[]; error: string | null; ended: boolean };

export const NOTHING: Answer = { choices: [], error: null, ended: false };
const SILENT: Choice = { text: "", thinking: "", refusal: "", calls: [], finish: null };

/** Whether there is anything of it to read. */
export function begun({ choices }: Answer): boolean {
  return choices.some(({ text, thinking, refusal, calls }) => text || thinking || refusal || calls.length);
}

/** Whether it is all that the model said. */
export function whole({ choices, ended }: Answer): boolean {
  return choices.length > 0 && (ended || choices.every(({ finish }) => finish !== null));
}

export function withChoice(answer: Answer, no: number, change: (choice: Choice) => Choice): Answer {
  const choices = [...answer.choices];
  while (choices.length <= no) choices.push(SILENT);
  choices[no] = change(choices[no] ?? SILENT);
  return { ...answer, choices };
}

/** The call at `index` with more of it: a name and an id come once, arguments bit by bit. Without an index it is the last one's, or a new one. */
export function withCall(choice: Choice, index: number | null, piece: Partial<ToolCall>): Choice {
  const last = choice.calls.at(-1);
  const starts = last === undefined || (piece.id !== undefined && piece.id !== "" && piece.id !== last.id);
  const at = index ?? (starts ? (last?.index ?? -1) + 1 : last.index);
  const known = choice.calls.find((call) => call.index === at);
  if (known === undefined) {
    const call = { index: at, id: piece.id ?? "", name: piece.name ?? "", arguments: piece.arguments ?? "" };
    return { ...choice, calls: [...choice.calls, call] };
  }
  const grown = {
    index: at,
    id: known.id || (piece.id ?? ""),
    name: known.name || (piece.name ?? ""),
    arguments: known.arguments + (piece.arguments ?? ""),
  };
  return { ...choice, calls: choice.calls.map((call) => (call === known ? grown : call)) };
}

// ---------------------------------------------------------------- JSON from outside: whatever is not as it should be is not there

export type Json = Readonly<Record<string, unknown>>;

export function mapping(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function natural(value: unknown): number | null {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 1000 ? value : null;
}

/** What JSON says; undefined: it is none. */
export function parsed(said: string): unknown {
  try {
    return JSON.parse(said) as unknown;
  } catch {
    return undefined;
  }
}

/** An object in JSON; null: it is none. */
export function object(said: string): Json | null {
  const value = parsed(said);
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : null;
}
