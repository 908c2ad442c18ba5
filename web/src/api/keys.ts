import { queryOptions } from "@tanstack/react-query";

import { answer, api, queryClient, type Schemas } from "./client";

export type Key = Schemas["Key"];
export type KeyAsked = Schemas["KeyAsked"];
/** What is not named stays as it is. */
export type KeyChanged = Omit<KeyAsked, "name">;
/** A key that was just made, with what nobody is told again. */
export type KeyMade = Schemas["Made"];
export type Role = Schemas["Role"];

/** `ended`: also those that were revoked or have expired. */
export function keysQuery(ended = false) {
  return queryOptions({
    queryKey: ["keys", { ended }],
    queryFn: async ({ signal }) =>
      (await answer(api.GET("/api/v1/keys", { params: { query: { revoked: ended, expired: ended } }, signal }))).keys,
  });
}

export async function createKey(asked: KeyAsked): Promise<KeyMade> {
  const made = await answer(api.POST("/api/v1/keys", { body: asked }));
  await changed();
  return made;
}

export async function changeKey(keyId: string, asked: KeyChanged): Promise<Key> {
  const key = await answer(api.PATCH("/api/v1/keys/{key_id}", { params: { path: { key_id: keyId } }, body: asked }));
  await changed();
  return key;
}

export async function revokeKey(keyId: string): Promise<void> {
  await api.POST("/api/v1/keys/{key_id}/revoke", { params: { path: { key_id: keyId } } });
  await changed();
}

async function changed(): Promise<void> {
  await queryClient.invalidateQueries({ queryKey: ["keys"] });
}
