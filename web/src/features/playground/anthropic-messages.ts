/** Anthropic's messages: for endpoints whose models speak nothing else. */

import {
  type Answer,
  items,
  type Json,
  mapping,
  natural,
  NOTHING,
  object,
  parsed,
  text,
  withCall,
  withChoice,
} from "./answer";
import type { Dialect } from "./dialect";
import { type Message, type Parameters, type Part, said } from "./draft";
import { lines } from "./openai-chat";

const MAX_TOKENS = 4096; // it must be said; so much every model may write

export const anthropicMessages: Dialect = {
  format: "anthropic.messages",
  path: "/v1/messages",
  speaks: new Set<keyof Parameters>([
    ...(["temperature", "topP", "maxTokens", "stop", "toolChoice", "more", "stream"] as const),
  ]),
  render: (draft, { endpoint, parameters }) => {
    const spoken = draft.messages.filter(said);
    const system = [draft.system, ...spoken.filter(instructs).flatMap(({ parts }) => parts.map(words))].filter(Boolean);
    return {
      model: endpoint,
      max_tokens: parameters.maxTokens ?? MAX_TOKENS,
      ...(system.length && { system: system.join("\n\n") }),
      messages: turns(spoken.filter((message) => !instructs(message))),
      ...(draft.tools.length && {
        tools: draft.tools.map(({ name, description, schema }) => ({
          name,
          ...(description && { description }),
          input_schema: object(schema) ?? { type: "object" },
        })),
      }),
      ...(draft.tools.length &&
        parameters.toolChoice && {
          tool_choice: { type: parameters.toolChoice === "required" ? "any" : parameters.toolChoice },
        }),
      ...(parameters.temperature !== null && { temperature: parameters.temperature }),
      ...(parameters.topP !== null && { top_p: parameters.topP }),
      ...(parameters.stop && { stop_sequences: lines(parameters.stop) }),
      ...(parameters.stream && { stream: true }),
    };
  },
  fold: (answer, data) => {
    const event = mapping(parsed(data));
    const index = natural(event.index);
    switch (event.type) {
      case "content_block_start":
        return block(answer, mapping(event.content_block), index, "");
      case "content_block_delta":
        return grown(answer, mapping(event.delta), index);
      case "message_delta":
        return finished(answer, mapping(event.delta).stop_reason);
      case "message_stop":
        return { ...answer, ended: true };
      case "error":
        return { ...answer, error: text(mapping(event.error).message) || data };
      default:
        return answer;
    }
  },
  read: (body) => {
    const { content, stop_reason: reason } = mapping(body);
    const answer = items(content)
      .map(mapping)
      .reduce<Answer>((now, one, index) => block(now, one, index, JSON.stringify(one.input ?? {})), NOTHING);
    return { ...finished(answer, reason), ended: true };
  },
};

function instructs({ role }: Message): boolean {
  return role === "system" || role === "developer";
}

function words(part: Part): string {
  return part.type === "text" ? part.text : "";
}

/** Who speaks twice in a row speaks once: the results of several calls must come together. */
function turns(messages: readonly Message[]): Json[] {
  const said: { role: string; content: Json[] }[] = [];
  for (const message of messages) {
    const role = message.role === "assistant" ? "assistant" : "user";
    const last = said.at(-1);
    if (last?.role === role) last.content.push(...blocks(message));
    else said.push({ role, content: blocks(message) });
  }
  return said;
}

function blocks({ role, parts, calls, callId }: Message): Json[] {
  const spoken = parts.filter((part) => part.type === "image" || part.text !== "").map(part);
  if (role === "tool") return [{ type: "tool_result", tool_use_id: callId, content: spoken }];
  const used = calls.map(({ id, name, arguments: given }) => ({
    type: "tool_use",
    id,
    name,
    input: object(given) ?? {},
  }));
  return role === "assistant" ? [...spoken, ...used] : spoken;
}

function part(one: Part): Json {
  if (one.type === "text") return one;
  const [, type, data] = /^data:([^;,]+);base64,(.*)$/s.exec(one.url) ?? [];
  const source = type ? { type: "base64", media_type: type, data } : { type: "url", url: one.url };
  return { type: "image", source };
}

/** `input`: what is known of a call's arguments at once; of a stream nothing is. */
function block(answer: Answer, one: Json, index: number | null, input: string): Answer {
  return withChoice(answer, 0, (choice) => {
    switch (one.type) {
      case "text":
        return { ...choice, text: choice.text + text(one.text) };
      case "thinking":
        return { ...choice, thinking: choice.thinking + text(one.thinking) };
      case "tool_use":
        return withCall(choice, index, { id: text(one.id), name: text(one.name), arguments: input });
      default:
        return choice;
    }
  });
}

function grown(answer: Answer, delta: Json, index: number | null): Answer {
  return withChoice(answer, 0, (choice) => {
    switch (delta.type) {
      case "text_delta":
        return { ...choice, text: choice.text + text(delta.text) };
      case "thinking_delta":
        return { ...choice, thinking: choice.thinking + text(delta.thinking) };
      case "input_json_delta":
        // Of the provider's own tools too, which nobody is asked to run: those began as no call.
        return choice.calls.some((call) => call.index === index)
          ? withCall(choice, index, { arguments: text(delta.partial_json) })
          : choice;
      default:
        return choice;
    }
  });
}

function finished(answer: Answer, reason: unknown): Answer {
  return withChoice(answer, 0, (choice) => ({ ...choice, finish: text(reason) || choice.finish }));
}
