/** OpenAI's chat completions, as every provider that has them answers. */

import {
  type Answer,
  type Choice,
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
import { type Message, type Parameters, type Part, said, type Tool } from "./draft";

// They refuse `max_tokens` for models that reason; the others know no other name for it.
const COMPLETION_TOKENS = new Set(["openai", "azure"]);

export const openaiChat: Dialect = {
  format: "openai.chat",
  path: "/v1/chat/completions",
  speaks: new Set<keyof Parameters>([
    ...(["temperature", "topP", "maxTokens", "seed", "stop", "format", "schema", "effort", "toolChoice"] as const),
    ...(["more", "stream"] as const),
  ]),
  render: (draft, { endpoint, parameters }, provider) => ({
    model: endpoint,
    messages: [
      ...(draft.system ? [{ role: "system", content: draft.system }] : []),
      ...draft.messages.filter(said).map(message),
    ],
    ...(draft.tools.length && { tools: draft.tools.map(tool) }),
    ...(draft.tools.length && parameters.toolChoice && { tool_choice: parameters.toolChoice }),
    ...(parameters.temperature !== null && { temperature: parameters.temperature }),
    ...(parameters.topP !== null && { top_p: parameters.topP }),
    ...(parameters.maxTokens !== null && {
      [COMPLETION_TOKENS.has(provider) ? "max_completion_tokens" : "max_tokens"]: parameters.maxTokens,
    }),
    ...(parameters.seed !== null && { seed: parameters.seed }),
    ...(parameters.stop && { stop: lines(parameters.stop) }),
    ...(parameters.format && { response_format: format(parameters) }),
    ...(parameters.effort && { reasoning_effort: parameters.effort }),
    ...(parameters.stream && { stream: true, stream_options: { include_usage: true } }),
  }),
  fold: (answer, data) => {
    if (data === "[DONE]") return { ...answer, ended: true };
    const chunk = mapping(parsed(data));
    return items(chunk.choices).reduce<Answer>(
      (now, one) => told(now, mapping(one), mapping(mapping(one).delta)),
      withError(answer, chunk),
    );
  },
  read: (body) => {
    const answer = items(mapping(body).choices).reduce<Answer>(
      (now, one) => told(now, mapping(one), mapping(mapping(one).message)),
      withError(NOTHING, mapping(body)),
    );
    return { ...answer, ended: true };
  },
};

export function lines(stop: string): string[] {
  return stop.split("\n").filter((line) => line !== "");
}

function message({ role, parts, calls, callId }: Message): Json {
  const spoken = parts.filter((part) => part.type === "image" || part.text !== "");
  const [only] = spoken;
  const plain = only?.type === "text" && spoken.length === 1 ? only.text : null;
  if (role === "tool") return { role, tool_call_id: callId, content: plain ?? spoken.map(part) };
  const content = spoken.length === 0 && calls.length ? null : (plain ?? spoken.map(part));
  if (role !== "assistant" || calls.length === 0) return { role, content };
  return {
    role,
    content,
    tool_calls: calls.map((call) => ({
      id: call.id,
      type: "function",
      function: { name: call.name, arguments: call.arguments },
    })),
  };
}

function part(one: Part): Json {
  return one.type === "text" ? one : { type: "image_url", image_url: { url: one.url } };
}

function tool({ name, description, schema }: Tool): Json {
  const parameters = object(schema);
  return {
    type: "function",
    function: { name, ...(description && { description }), ...(parameters && { parameters }) },
  };
}

function format({ format, schema }: Parameters): Json {
  if (format !== "json_schema") return { type: format };
  // With a name around it, or the schema alone.
  const said = object(schema) ?? {};
  const named = typeof said.name === "string" && typeof said.schema === "object";
  return { type: format, json_schema: named ? said : { name: "answer", strict: true, schema: said } };
}

function withError(answer: Answer, said: Json): Answer {
  if (said.error === undefined || said.error === null) return answer;
  return { ...answer, error: text(said.error) || text(mapping(said.error).message) || JSON.stringify(said.error) };
}

/** `delta`: what one choice says more; of an answer in one piece its message. */
function told(answer: Answer, one: Json, delta: Json): Answer {
  return withChoice(answer, natural(one.index) ?? 0, (choice) => {
    const grown: Choice = {
      ...choice,
      text: choice.text + content(delta.content, "text"),
      // DeepSeek, vLLM and xAI; OpenRouter, Groq, Ollama; Mistral and Databricks among the content.
      thinking:
        choice.thinking +
        (text(delta.reasoning_content) || text(delta.reasoning) || content(delta.content, "thinking")),
      refusal: choice.refusal + text(delta.refusal),
      finish: text(one.finish_reason) || choice.finish,
    };
    return items(delta.tool_calls).reduce<Choice>((now, piece) => {
      const { index, id, function: named } = mapping(piece);
      const { name, arguments: given } = mapping(named);
      return withCall(now, natural(index), { id: text(id), name: text(name), arguments: text(given) });
    }, grown);
  });
}

/** The words of a content: a text, or parts; those of `kind`. */
function content(said: unknown, kind: "text" | "thinking"): string {
  if (typeof said === "string") return kind === "text" ? said : "";
  return items(said)
    .map(mapping)
    .map((one) => {
      if (kind === "text") return one.type === "text" ? text(one.text) : "";
      if (one.type === "thinking") return content(one.thinking, "text");
      return one.type === "reasoning"
        ? items(one.summary)
            .map((each) => text(mapping(each).text))
            .join("")
        : "";
    })
    .join("");
}
