import { describe, expect, it } from "vitest";

import type { Endpoint } from "@/api/endpoints";
import type { Provider } from "@/api/providers";

import {
  copyOf,
  documentOf,
  draftOf,
  emptyDraft,
  evened,
  nameFor,
  newTarget,
  placed,
  settled,
  sharedWith,
  sumOfShares,
  type TargetDraft,
  wholeShares,
  within,
  without,
  withOneMore,
  withShare,
} from "./form";

const AZURE = {
  name: "azure",
  title: "Azure OpenAI",
  auth_modes: [
    {
      mode: "api_key",
      fields: [
        { name: "api_base", secret: false },
        { name: "api_key", secret: true },
      ],
    },
    { mode: "ad_token", fields: [{ name: "azure_ad_token", secret: true }] },
  ],
} as unknown as Provider;

const ENDPOINT: Endpoint = {
  endpoint_id: "e-1",
  name: "chat",
  primaries: [
    { ...target("d-1", "gpt-5", "s-1"), weight: 3, share: 75 },
    { ...target("d-2", "gpt-5-mini", "s-1"), weight: 1, share: 25 },
  ],
  fallbacks: [target("d-3", "gpt-4o", null)],
  max_attempts: 4,
  usage_tracking: true,
  experiment: { id: "7", name: "gateway/chat" },
  settings: { idle_timeout: 20, retention: { trace_days: 3 } },
  aliases: ["claude-*"],
  tags: { team: "search" },
  created_at: "2026-11-20T10:00:00Z",
  updated_at: "2026-11-21T10:00:00Z",
  created_by: "admin",
  updated_by: "admin",
};

function target(id: string, model: string, secretId: string | null) {
  return {
    model_definition_id: id,
    model_definition_name: model,
    provider: "openai",
    model,
    secret_id: secretId,
    secret_name: secretId,
    health: { state: "ok" as const, seconds: null },
  };
}

describe("documentOf", () => {
  it("says of an endpoint that was only read what it was, with its split in percent", () => {
    expect(documentOf(draftOf(ENDPOINT), [], ENDPOINT)).toEqual({
      name: "chat",
      primaries: [
        { model_definition_id: "d-1", provider: "openai", model: "gpt-5", secret_id: "s-1", weight: 75 },
        { model_definition_id: "d-2", provider: "openai", model: "gpt-5-mini", secret_id: "s-1", weight: 25 },
      ],
      fallbacks: [{ model_definition_id: "d-3", provider: "openai", model: "gpt-4o", secret_id: null }],
      max_attempts: 4,
      usage_tracking: true,
      experiment: null,
      settings: { idle_timeout: 20, retention: { trace_days: 3 } },
      aliases: ["claude-*"],
      tags: { team: "search" },
    });
  });

  it("lets go of a model definition whose model is another now", () => {
    const draft = draftOf(ENDPOINT);
    const changed = { ...draft, fallbacks: draft.fallbacks.map((one) => ({ ...one, model: " gpt-6 " })) };
    expect(documentOf(changed, [], ENDPOINT).fallbacks).toEqual([
      { provider: "openai", model: "gpt-6", secret_id: null },
    ]);
  });

  it("makes a new secret with the fields of its mode, told apart by whether they are sealed", () => {
    const values = { api_base: "https://a.example", api_key: " k ", azure_ad_token: "of another mode" };
    const primary: TargetDraft = {
      ...newTarget(100),
      provider: "azure",
      model: "gpt",
      credential: { kind: "new", secret: { name: "azure", mode: "api_key", values } },
    };
    const sharing: TargetDraft = { ...primary, id: "other", credential: { kind: "shared", with: primary.id } };
    const asked = documentOf({ ...emptyDraft(), primaries: [primary], fallbacks: [sharing] }, [AZURE], null);
    const secret = {
      name: "azure",
      values: { api_key: "k" },
      auth_config: { auth_mode: "api_key", api_base: "https://a.example" },
    };
    expect(asked.primaries).toEqual([{ provider: "azure", model: "gpt", secret, weight: 100 }]);
    expect(asked.fallbacks).toEqual([{ provider: "azure", model: "gpt", secret }]);
  });

  it.each([
    ["traces", true, null],
    ["", true, { name: "gateway/chat" }],
    ["traces-2", false, { name: "traces-2" }],
    ["", false, null],
  ])("traces to %j, tracking %s: %j", (experiment, usageTracking, asked) => {
    const before = { ...ENDPOINT, experiment: { id: "1", name: "traces" } };
    expect(documentOf({ ...draftOf(before), experiment, usageTracking }, [], before).experiment).toEqual(asked);
  });

  it("leaves the experiment of a new endpoint to the server", () => {
    expect(documentOf({ ...emptyDraft(), name: "new" }, [], null).experiment).toBeNull();
  });
});

it("copies all but what only one endpoint can have", () => {
  expect(copyOf(ENDPOINT, ["chat", "chat-copy"])).toMatchObject({
    name: "chat-copy-2",
    aliases: [],
    experiment: "",
    maxAttempts: 4,
    tags: [["team", "search"]],
  });
  expect(copyOf({ ...ENDPOINT, experiment: { id: "1", name: "all" } }, []).experiment).toBe("all");
});

it.each([
  ["meta-llama/Llama 3.1 (70B)", "Llama-3.1-70B"],
  ["claude-haiku-4-5", "claude-haiku-4-5"],
  ["", ""],
])("names an endpoint for %j", (model, name) => expect(nameFor(model)).toBe(name));

describe("shares", () => {
  const shares = (primaries: readonly TargetDraft[]) => primaries.map(({ share }) => share);
  const of = (...said: number[]) => said.map((share) => newTarget(share));

  it.each([[[1, 1, 1]], [[0, 0]], [[3, 1]], [[1, 2, 3, 5, 7, 11]], [[0.001, 99.9]]])("%j come to 100", (said) => {
    expect(sumOfShares(of(...wholeShares(said)))).toBe(100);
  });

  it("keeps the proportion where one comes or goes", () => {
    expect(shares(withOneMore(of(75, 25)))).toEqual([50, 16.67, 33.33]);
    const three = of(50, 30, 20);
    expect(shares(without(three, three[0]?.id ?? ""))).toEqual([60, 40]);
    expect(shares(evened(of(90, 5, 5)))).toEqual([33.34, 33.33, 33.33]);
  });

  it("gives the rest to the other of two, and leaves more of them alone", () => {
    const two = of(50, 50);
    expect(shares(withShare(two, two[0]?.id ?? "", 70))).toEqual([70, 30]);
    const three = of(50, 30, 20);
    expect(shares(withShare(three, three[0]?.id ?? "", 70))).toEqual([70, 30, 20]);
  });
});

it("finds the target of a fault, wherever it is moved", () => {
  const draft = draftOf(ENDPOINT);
  const id = draft.primaries[1]?.id ?? "";
  const faults = placed({ "primaries.1.secret.name": "taken", name: "empty", "primaries.9.model": "?" }, draft);
  expect(faults).toEqual({ [`${id}.secret.name`]: "taken", name: "empty", "primaries.9.model": "?" });
  expect(within(faults, id)).toEqual({ "secret.name": "taken" });
});

it("hands a new secret on when the target that made it goes", () => {
  const secret = { name: "openai", mode: "api_key", values: { api_key: "k" } };
  const maker: TargetDraft = { ...newTarget(), provider: "openai", credential: { kind: "new", secret } };
  const share = (): TargetDraft => ({
    ...newTarget(),
    provider: "openai",
    credential: { kind: "shared", with: maker.id },
  });
  const [first, second] = [share(), share()];
  const before = { ...emptyDraft(), primaries: [maker, first], fallbacks: [second] };
  expect(sharedWith(before, first)).toEqual([{ with: maker.id, name: "openai" }]);
  const after = settled({ ...before, primaries: [first] }, before);
  expect(after.primaries[0]?.credential).toEqual({ kind: "new", secret });
  expect(after.fallbacks[0]?.credential).toEqual({ kind: "shared", with: first.id });
});
