/** A request as a command or a program: the same one, from anywhere. */

import type { Json } from "./answer";
import type { Request } from "./dialect";

export type Language = "curl" | "python";
const KEY = "SPANGATE_KEY"; // the variable that the key is read from

/** `origin`: of this gateway. */
export function snippet(language: Language, request: Request, origin: string): string {
  return language === "curl" ? curl(request, origin) : python(request, origin);
}

/** The body comes through stdin: an image is larger than an argument may be. No line of it is the word that ends it, as JSON has no such line. */
function curl({ path, body, more }: Request, origin: string): string {
  const whole = JSON.stringify({ ...body, ...more }, null, 2);
  return [
    `curl --no-buffer ${origin}${path} \\`,
    `  -H "Authorization: Bearer $${KEY}" \\`,
    `  -H "Content-Type: application/json" \\`,
    `  --data-binary @- <<'JSON'`,
    whole,
    "JSON",
    "",
  ].join("\n");
}

function python({ path, body, more }: Request, origin: string): string {
  const anthropic = path === "/v1/messages";
  const given = Object.entries(body).map(([name, value]) => `    ${name}=${literal(value, 1)},`);
  const extra = Object.keys(more).length ? [`    extra_body=${literal(more, 1)},`] : [];
  const [library, client, base, create] = anthropic
    ? ["anthropic", "Anthropic", origin, "client.messages.create"]
    : ["openai", "OpenAI", `${origin}/v1`, "client.chat.completions.create"];
  return [
    "import os",
    "",
    `from ${library} import ${client}`,
    "",
    `client = ${client}(base_url=${JSON.stringify(base)}, api_key=os.environ["${KEY}"])`,
    `${body.stream ? "stream" : "answer"} = ${create}(`,
    ...given,
    ...extra,
    ")",
    ...(anthropic ? anthropicEnd(body) : openaiEnd(body)),
    "",
  ].join("\n");
}

function openaiEnd(body: Json): string[] {
  if (!body.stream) return ["print(answer.choices[0].message.content)"];
  return [
    "for chunk in stream:",
    "    for choice in chunk.choices:",
    '        print(choice.delta.content or "", end="", flush=True)',
    "print()",
  ];
}

function anthropicEnd(body: Json): string[] {
  if (!body.stream) return ['print("".join(block.text for block in answer.content if block.type == "text"))'];
  return [
    "for event in stream:",
    '    if event.type == "content_block_delta" and event.delta.type == "text_delta":',
    '        print(event.delta.text, end="", flush=True)',
    "print()",
  ];
}

const WIDTH = 88; // a value that fits a line stands on one

/** A value as Python writes it. A text of JSON is one of Python too. */
function literal(value: unknown, depth: number): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  const inside = (deep: number): string[] =>
    Array.isArray(value)
      ? value.map((one) => literal(one, deep))
      : Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${literal(one, deep)}`);
  const flat = `${open}${inside(depth).join(", ")}${close}`;
  if (flat.length + depth * 4 <= WIDTH && !flat.includes("\n")) return flat;
  const pad = "    ".repeat(depth + 1);
  return `${open}\n${inside(depth + 1)
    .map((one) => `${pad}${one},\n`)
    .join("")}${"    ".repeat(depth)}${close}`;
}
