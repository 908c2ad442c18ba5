/** How an endpoint is called from what people have: text to be copied. */

export const TOOLS = [
  "curl",
  "openai",
  "anthropic",
  "genai",
  "mlflow",
  "langchain",
  "claude-code",
  "codex",
  "gemini-cli",
] as const;
export type Tool = (typeof TOOLS)[number];

/** `where`: the file it belongs into; null: it is run as it is. */
export type Snippet = { where: string | null; text: string };

/** The wire format that each of them speaks: a model whose provider does not cannot answer it. */
export const FORMATS: Record<Tool, string> = {
  curl: "openai.chat",
  openai: "openai.chat",
  anthropic: "anthropic.messages",
  genai: "gemini.generate",
  mlflow: "openai.chat",
  langchain: "openai.chat",
  "claude-code": "anthropic.messages",
  codex: "openai.responses",
  "gemini-cli": "gemini.generate",
};

const KEY = 'os.environ["SPANGATE_KEY"]';
const EXPORT = 'export SPANGATE_KEY="sg-…"';

/**
 * `url`: this gateway's, without a slash at its end. `endpoint`: its name; the names that there can be need no quoting anywhere here.
 * `experiment`: where its traces go; null: it has none.
 */
export function snippets(tool: Tool, url: string, endpoint: string, experiment: string | null): Snippet[] {
  switch (tool) {
    case "curl":
      return run(`${EXPORT}

curl ${url}/v1/chat/completions \\
  -H "Authorization: Bearer $SPANGATE_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${endpoint}", "messages": [{"role": "user", "content": "Hello"}]}'`);
    case "openai":
      return run(`import os
from openai import OpenAI

client = OpenAI(base_url="${url}/v1", api_key=${KEY})
reply = client.chat.completions.create(
    model="${endpoint}",
    messages=[{"role": "user", "content": "Hello"}],
)
print(reply.choices[0].message.content)`);
    case "anthropic":
      return run(`import os
from anthropic import Anthropic

client = Anthropic(base_url="${url}", api_key=${KEY})
reply = client.messages.create(
    model="${endpoint}",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Hello"}],
)
print(reply.content[0].text)`);
    case "genai":
      return run(`import os
from google import genai

client = genai.Client(
    api_key=${KEY},
    http_options={"base_url": "${url}"},
)
reply = client.models.generate_content(model="${endpoint}", contents="Hello")
print(reply.text)`);
    case "mlflow":
      return run(
        `import os
import mlflow
from openai import OpenAI

# MLflow's own route, as its gateway has it
client = OpenAI(base_url="${url}/gateway/mlflow/v1", api_key=${KEY})
client.chat.completions.create(
    model="${endpoint}",
    messages=[{"role": "user", "content": "Hello"}],
)` + (experiment === null ? "" : reading(url, experiment)),
      );
    case "langchain":
      return run(`import os
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="${endpoint}", base_url="${url}/v1", api_key=${KEY})
print(model.invoke("Hello").content)`);
    case "claude-code":
      return run(`export ANTHROPIC_BASE_URL="${url}"
export ANTHROPIC_AUTH_TOKEN="sg-…"
export ANTHROPIC_MODEL="${endpoint}"
export ANTHROPIC_DEFAULT_HAIKU_MODEL="${endpoint}"  # for its small tasks

claude`);
    case "codex":
      return [
        {
          where: "~/.codex/config.toml",
          text: `model = "${endpoint}"
model_provider = "spangate"

[model_providers.spangate]
name = "Spangate"
base_url = "${url}/v1"
env_key = "SPANGATE_KEY"
wire_api = "responses"`,
        },
        { where: null, text: `${EXPORT}\ncodex` },
      ];
    case "gemini-cli":
      return run(`export GOOGLE_GEMINI_BASE_URL="${url}"
export GEMINI_API_KEY="sg-…"

gemini --model ${endpoint}`);
  }
}

function run(text: string): Snippet[] {
  return [{ where: null, text }];
}

function reading(url: string, experiment: string): string {
  return `

# its client reads the traces
os.environ["MLFLOW_TRACKING_USERNAME"] = "key"
os.environ["MLFLOW_TRACKING_PASSWORD"] = ${KEY}
mlflow.set_tracking_uri("${url}")
experiment = mlflow.get_experiment_by_name(${JSON.stringify(experiment)})
print(mlflow.search_traces(locations=[experiment.experiment_id]))`;
}
