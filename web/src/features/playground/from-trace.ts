/** A draft that asks again what a trace asked. What cannot be sent again is named. */

import type { Trace } from "@/api/traces";

import { items, mapping, parsed, text } from "./answer";
import {
  column,
  type Draft,
  empty,
  type Left,
  message,
  type Message,
  newId,
  type Parameters,
  type Part,
  ROLES,
  UNSET,
} from "./draft";

type Conversation = NonNullable<Trace["conversation"]>;
type Said = Conversation["messages"][number];

export function draftOf(trace: Trace, conversation: Conversation): Draft {
  const left = new Set<Left>();
  const ids = new Map<string, string>(); // of the calls of tools without one, by name
  const messages = conversation.messages.flatMap((one) => messagesOf(one, left, ids));
  const [first] = messages;
  const system = first && (first.role === "system" || first.role === "developer") && plain(first.parts);
  const rest = typeof system === "string" ? messages.slice(1) : messages;
  const tools = conversation.tools.flatMap(({ name, kind, description, parameters }) => {
    if (kind === "function") return [{ id: newId(), name, description: description ?? "", schema: parameters ?? "" }];
    left.add("tools");
    return [];
  });
  const parameters = parametersOf(
    conversation.parameters,
    trace.format.startsWith("openai.chat"),
    trace.streamed,
    left,
  );
  return {
    system: typeof system === "string" ? system : "",
    messages: rest.length ? rest : empty().messages,
    tools,
    columns: [column(trace.endpoint ?? trace.requested_model, parameters)],
    from: { traceId: trace.trace_id, left: [...left] },
    opened: null,
  };
}

/** Results of tools may stand in a user's message; here each is one of its own, before the rest. */
function messagesOf(said: Said, left: Set<Left>, ids: Map<string, string>): Message[] {
  const parts: Part[] = [];
  const calls: Message["calls"][number][] = [];
  const results: Message[] = [];
  for (const part of said.parts) {
    switch (part.type) {
      case "text":
        parts.push({ type: "text", text: part.text });
        break;
      case "refusal":
        parts.push({ type: "text", text: part.text });
        break;
      case "image":
        if (part.url?.startsWith("data:") || part.url?.startsWith("http")) parts.push({ type: "image", url: part.url });
        else left.add("media");
        break;
      case "tool_call": {
        const id = part.call_id ?? `call_${newId()}`;
        ids.set(part.name, id);
        calls.push({ id, name: part.name, arguments: part.arguments || "{}" });
        break;
      }
      case "tool_result": {
        const words = part.parts.flatMap((inner) => (inner.type === "text" ? [inner.text] : []));
        if (words.length < part.parts.length) left.add("media");
        const callId = part.call_id ?? ids.get(part.name ?? "") ?? "";
        results.push(message("tool", words.join("\n\n"), { callId }));
        break;
      }
      case "thinking":
        left.add("thinking");
        break;
      case "audio":
      case "file":
        left.add("media");
        break;
      default:
        left.add("other");
    }
  }
  if (results.length && parts.length === 0 && calls.length === 0) return results;
  if (parts.length === 0 && calls.length === 0) return [];
  if (!parts.some((part) => part.type === "text")) parts.unshift({ type: "text", text: "" });
  const role = ROLES.find((known) => known === said.role) ?? "user";
  return [...results, message(role, "", { parts, calls })];
}

/** A message that is words and nothing else. */
function plain(parts: readonly Part[]): string | null {
  const words = parts.flatMap((part) => (part.type === "text" ? [part.text] : []));
  return words.length === parts.length ? words.join("\n\n") : null;
}

const OURS = new Set(["stream", "stream_options"]);
const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh"] as const;
const CHOICES = ["auto", "required", "none"] as const;

/** `chat`: the names are those of chat completions, so that one we have no field for can be sent as it is. */
function parametersOf(said: Conversation["parameters"], chat: boolean, stream: boolean, left: Set<Left>): Parameters {
  let now: Parameters = { ...UNSET, stream };
  const more: Record<string, unknown> = {};
  // Gemini keeps them one deeper.
  const generation = mapping(parsed(said.generationConfig ?? ""));
  const named = Object.entries(said).filter(([name]) => name !== "generationConfig");
  const all = [...named.map(([name, json]) => [name, parsed(json)] as const), ...Object.entries(generation)];
  for (const [name, value] of all) {
    if (OURS.has(name) || value === null || value === undefined) continue;
    const changes = known(name, value);
    if (changes) now = { ...now, ...changes };
    else if (chat) more[name] = value;
    else left.add("parameters");
  }
  return Object.keys(more).length ? { ...now, more: JSON.stringify(more, null, 2) } : now;
}

function known(name: string, value: unknown): Partial<Parameters> | null {
  switch (name) {
    case "temperature":
      return typeof value === "number" ? { temperature: value } : null;
    case "top_p":
    case "topP":
      return typeof value === "number" ? { topP: value } : null;
    case "max_tokens":
    case "max_completion_tokens":
    case "max_output_tokens":
    case "maxOutputTokens":
      return typeof value === "number" ? { maxTokens: value } : null;
    case "seed":
      return typeof value === "number" ? { seed: value } : null;
    case "stop":
    case "stop_sequences":
    case "stopSequences": {
      const stops = typeof value === "string" ? [value] : items(value).map(text);
      // A line end within one cannot be told from one between two.
      return stops.length && stops.every((stop) => stop !== "" && !stop.includes("\n"))
        ? { stop: stops.join("\n") }
        : null;
    }
    case "reasoning_effort": {
      const effort = EFFORTS.find((one) => one === value);
      return effort ? { effort } : null;
    }
    case "tool_choice": {
      const toolChoice = CHOICES.find((one) => one === value || one === mapping(value).type);
      return toolChoice ? { toolChoice } : mapping(value).type === "any" ? { toolChoice: "required" } : null;
    }
    case "response_format": {
      const { type, json_schema: schema } = mapping(value);
      if (type === "json_object") return { format: "json_object" };
      return type === "json_schema" ? { format: "json_schema", schema: JSON.stringify(schema, null, 2) } : null;
    }
    default:
      return null;
  }
}
