import { expect, it } from "vitest";

import type { Key } from "@/api/keys";

import { askedOf, changesOf, EMPTY, formOf, stateOf } from "./form";

const KEY: Key = {
  key_id: "k1",
  name: "ci",
  hint: "sg-ab…yz",
  role: "viewer",
  scopes: ["proxy"],
  endpoints: ["e1"],
  experiments: null,
  owner: "ann",
  team: null,
  tags: { cost_center: "7" },
  expires_at: "2026-12-01T10:30:00Z",
  revoked_at: null,
  last_used_at: null,
  created_at: "2026-11-01T00:00:00Z",
  updated_at: "2026-11-01T00:00:00Z",
  created_by: null,
  updated_by: null,
};

it("asks for a key as it is when nothing in its form was changed", () => {
  const { name, role, scopes, endpoints, experiments, owner, team, tags } = KEY;
  expect(askedOf(formOf(KEY))).toEqual({
    ...{ name, role, scopes, endpoints, experiments, owner, team, tags },
    expires_at: "2026-12-01T10:30:00.000Z",
  });
});

it("moves the end of a key only when it was moved", () => {
  const key = { ...KEY, expires_at: "2026-12-01T10:30:59Z" };
  const form = { ...formOf(key), owner: "bob" };
  expect(changesOf(form, key)).toEqual({
    role: "viewer",
    scopes: ["proxy"],
    endpoints: ["e1"],
    experiments: null,
    owner: "bob",
    team: null,
    tags: { cost_center: "7" },
  });
  expect(changesOf({ ...form, expires: "" }, key)).toMatchObject({ expires_at: null });
});

it("asks for nothing that was left empty, and for no tag without a name", () => {
  const asked = askedOf({
    ...EMPTY,
    name: " web ",
    owner: "  ",
    tags: [
      ["", "x"],
      [" a ", "b"],
    ],
  });
  expect(asked).toEqual({
    name: "web",
    role: "developer",
    scopes: [],
    endpoints: null,
    experiments: null,
    owner: null,
    team: null,
    tags: { a: "b" },
    expires_at: null,
  });
});

it("knows when a key has ended, and that revoking says more than expiring", () => {
  const end = Date.parse("2026-12-01T10:30:00Z");
  expect([stateOf(KEY, end - 1), stateOf(KEY, end), stateOf({ ...KEY, revoked_at: KEY.created_at }, end)]).toEqual([
    "active",
    "expired",
    "revoked",
  ]);
});
