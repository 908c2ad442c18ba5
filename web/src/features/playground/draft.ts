/** What is about to be sent: one conversation, and the columns that it goes to. */

export const ROLES = ["system", "developer", "user", "assistant", "tool"] as const;
export type Role = (typeof ROLES)[number];
export type TextPart = { type: "text"; text: string };
/** `url`: of `data:`, or an address that the provider fetches. */
export type ImagePart = { type: "image"; url: string };
export type Part = TextPart | ImagePart;
/** `id`: what its result refers to. `arguments`: JSON. */
export type ToolCall = { id: string; name: string; arguments: string };
/** `calls`: of an assistant. `callId`: of a tool; the call that it answers. There is always a text, which may be empty. */
export type Message = { id: string; role: Role; parts: readonly Part[]; calls: readonly ToolCall[]; callId: string };
/** `schema`: of its parameters, as JSON. */
export type Tool = { id: string; name: string; description: string; schema: string };

export type Parameters = {
  temperature: number | null;
  topP: number | null;
  maxTokens: number | null;
  seed: number | null;
  /** One a line. */
  stop: string;
  format: "" | "json_object" | "json_schema";
  /** For `json_schema`, as JSON. */
  schema: string;
  effort: "" | "none" | "minimal" | "low" | "medium" | "high" | "xhigh";
  toolChoice: "" | "auto" | "required" | "none";
  /** Whatever else belongs into the request: a JSON object. */
  more: string;
  stream: boolean;
};

export type Column = { id: string; endpoint: string | null; parameters: Parameters };
export type Draft = {
  system: string;
  messages: readonly Message[];
  tools: readonly Tool[];
  columns: readonly Column[];
  /** The trace that it was taken from, and what of that could not be. */
  from: { traceId: string; left: readonly Left[] } | null;
  /** The visit of the page whose address it was opened with: coming back to it opens nothing again. */
  opened: string | null;
};
/** What of a trace cannot be sent again. */
export const LEFT = ["thinking", "media", "tools", "parameters", "other"] as const;
export type Left = (typeof LEFT)[number];

export const COLUMNS = 4; // at most
export const UNSET: Parameters = {
  temperature: null,
  topP: null,
  maxTokens: null,
  seed: null,
  stop: "",
  format: "",
  schema: "",
  effort: "",
  toolChoice: "",
  more: "",
  stream: true,
};

/** Told apart from all others, over reloads too. */
export function newId(): string {
  return Math.random().toString(36).slice(2, 12);
}

export function message(role: Role, text = "", more: Partial<Message> = {}): Message {
  return { id: newId(), role, parts: [{ type: "text", text }], calls: [], callId: "", ...more };
}

export function column(endpoint: string | null, parameters = UNSET): Column {
  return { id: newId(), endpoint, parameters };
}

export function empty(): Draft {
  return { system: "", messages: [message("user")], tools: [], columns: [column(null)], from: null, opened: null };
}

export function said(message: Message): boolean {
  return message.parts.some((part) => part.type === "image" || part.text !== "") || message.calls.length > 0;
}

/** The calls that a result may be of: those of all assistants. */
export function calls(messages: readonly Message[]): ToolCall[] {
  return messages.flatMap((message) => (message.role === "assistant" ? message.calls : []));
}

/** `list` with one of it changed, or without it. */
export function changed<T extends { id: string }>(list: readonly T[], id: string, changes: Partial<T>): T[] {
  return list.map((one) => (one.id === id ? { ...one, ...changes } : one));
}

export function without<T extends { id: string }>(list: readonly T[], id: string): T[] {
  return list.filter((one) => one.id !== id);
}

/** The names of the parameters that are set, by our own names. */
export function setOnes(parameters: Parameters): (keyof Parameters)[] {
  const names = Object.keys(UNSET) as (keyof Parameters)[];
  return names.filter((name) => parameters[name] !== UNSET[name] && (name !== "schema" || parameters.format !== ""));
}

/** What goes on from an answer: it, then a place for each result that it asks for, or for the next question. */
export function continued(
  messages: readonly Message[],
  answer: { text: string; calls: readonly ToolCall[] },
): readonly Message[] {
  const next = answer.calls.length
    ? answer.calls.map((call) => message("tool", "", { callId: call.id }))
    : [message("user")];
  return [...messages.filter(said), message("assistant", answer.text, { calls: answer.calls }), ...next];
}
