import { expect, it } from "vitest";

import { snippets, TOOLS } from "./snippets";

it.each(TOOLS)("%s: names this gateway and the endpoint, and no key", (tool) => {
  const text = snippets(tool, "https://ai.example", "chat-2", "gateway/chat-2")
    .map((snippet) => snippet.text)
    .join("\n");
  expect(text).toContain("https://ai.example");
  expect(text).toContain("chat-2");
  expect(text).toMatch(/SPANGATE_KEY\b|sg-…/);
  expect(text).not.toMatch(/example\/\/|undefined/);
});

it("gives each client the base that it adds its own paths to", () => {
  const text = (tool: (typeof TOOLS)[number]) => snippets(tool, "http://g", "e", null)[0]?.text ?? "";
  expect(text("openai")).toContain('base_url="http://g/v1"');
  expect(text("anthropic")).toContain('base_url="http://g"');
  expect(text("codex")).toContain('base_url = "http://g/v1"');
  expect(text("claude-code")).toContain('ANTHROPIC_BASE_URL="http://g"');
  expect(text("mlflow")).toContain('base_url="http://g/gateway/mlflow/v1"');
});

it("reads an endpoint's traces where they go, and not where there are none", () => {
  const text = (experiment: string | null) => snippets("mlflow", "http://g", "e", experiment)[0]?.text ?? "";
  expect(text('a "b"')).toContain('get_experiment_by_name("a \\"b\\"")');
  expect(text(null)).not.toContain("search_traces");
});
