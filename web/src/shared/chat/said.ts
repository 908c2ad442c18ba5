/** What was said, in the words of the API's `Conversation`: whoever has one hands it on as it is. */

export type TextPart = { type: "text"; text: string };
/** `text` is "" where the provider keeps the thoughts to itself. */
export type ThinkingPart = { type: "thinking"; text: string };
export type RefusalPart = { type: "refusal"; text: string };
/** `url`: of `data:`, or what was sent instead of the bytes. */
export type ImagePart = { type: "image"; url: string | null; media_type: string | null };
export type AudioPart = { type: "audio"; url: string | null; transcript: string | null };
export type FilePart = { type: "file"; url: string | null; name: string | null; media_type: string | null };
export type ToolCallPart = { type: "tool_call"; call_id: string | null; name: string; arguments: string };
export type EmbeddingsPart = { type: "embeddings"; count: number; dimensions: number | null };
export type OtherPart = { type: "other"; kind: string; value: string };
export type PlainPart =
  TextPart | ThinkingPart | RefusalPart | ImagePart | AudioPart | FilePart | ToolCallPart | EmbeddingsPart | OtherPart;
export type ToolResultPart = {
  type: "tool_result";
  call_id: string | null;
  name: string | null;
  failed: boolean;
  parts: readonly PlainPart[];
};
export type Part = PlainPart | ToolResultPart;
export type Message = {
  role: string;
  name: string | null;
  parts: readonly Part[];
  finish_reason: string | null;
};
export type Tool = { name: string; kind: string; description: string | null; parameters: string | null };
export type Said = {
  messages: readonly Message[];
  answers: readonly Message[];
  tools: readonly Tool[];
  parameters: Readonly<Record<string, string>>;
  error: string | null;
  missing: readonly string[];
};

/**
 * The messages that a request adds to what was said before: clients send the whole conversation each time. Where the beginning is another
 * one, it is another conversation, and all of it is new.
 */
export function added(before: Said | null, messages: readonly Message[]): readonly Message[] {
  if (before === null) return messages;
  const known = before.messages.map(key);
  if (known.some((message, index) => message !== key(messages[index]))) return messages;
  const rest = messages.slice(known.length);
  // Its answer comes back in the client's own words, which are not always those of the provider.
  return before.answers.length && rest[0]?.role === "assistant" ? rest.slice(1) : rest;
}

function key(message: Message | undefined): string {
  return message === undefined ? "" : JSON.stringify([message.role, message.name, message.parts]);
}

/** The name of the tool that each call is for, by the call's id: results often tell only that. */
export function toolNames(messages: readonly Message[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { parts } of messages)
    for (const part of parts)
      if (part.type === "tool_call" && part.call_id !== null) names.set(part.call_id, part.name);
  return names;
}

/** Where something that was sent may be shown from: only from what was sent itself. `kind`: `image`, `audio`. */
export function inline(url: string | null, kind: string): string | null {
  return url?.startsWith(`data:${kind}/`) ? url : null;
}

/** Where something that was not sent itself may be found, if it is an address at all. */
export function remote(url: string | null): string | null {
  if (url === null || !/^https?:\/\//i.test(url)) return null;
  return URL.canParse(url) ? url : null;
}
