/** Whether a column can be sent, and what is sent then. */

import { object } from "./answer";
import type { Dialect, Request } from "./dialect";
import { type Column, type Draft, said } from "./draft";

/** Why not; the names of the texts that say it. */
export type Flaw = "noEndpoint" | "noMessage" | "badSchema" | "badMore" | "badTool" | "badCall";

export function flaw(draft: Draft, { endpoint, parameters }: Column, dialect: Dialect): Flaw | null {
  if (endpoint === null) return "noEndpoint";
  if (!draft.messages.some(said)) return "noMessage";
  if (draft.tools.some(({ schema }) => schema !== "" && object(schema) === null)) return "badTool";
  const structured = parameters.format === "json_schema" && dialect.speaks.has("format");
  if (structured && object(parameters.schema) === null) return "badSchema";
  if (parameters.more.trim() !== "" && object(parameters.more) === null) return "badMore";
  // Anthropic takes the arguments themselves; elsewhere they are a text.
  const read = dialect.format !== "anthropic.messages";
  const calls = draft.messages.flatMap((message) => (message.role === "assistant" ? message.calls : []));
  return read || calls.every((call) => object(call.arguments) !== null) ? null : "badCall";
}

/** Of a column without a flaw. */
export function requestOf(draft: Draft, column: Column, dialect: Dialect, provider: string): Request {
  return {
    path: dialect.path,
    body: dialect.render(draft, column, provider),
    more: object(column.parameters.more) ?? {},
  };
}
