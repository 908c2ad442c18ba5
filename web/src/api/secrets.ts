import { queryOptions } from "@tanstack/react-query";

import { answer, api, queryClient, type Schemas } from "./client";

export type Secret = Schemas["Secret"];
export type SecretAsked = Schemas["SecretAsked"];
export type NewValues = Schemas["NewValues"];

/** All secrets, masked, with whom they serve. For admins. */
export const secretsQuery = queryOptions({
  queryKey: ["secrets"],
  queryFn: async ({ signal }) => (await answer(api.GET("/api/v1/secrets", { signal }))).secrets,
});

export async function createSecret(asked: SecretAsked): Promise<Secret> {
  const made = await answer(api.POST("/api/v1/secrets", { body: asked }));
  await changed();
  return made;
}

/** New values for the same secret: in force within a second. */
export async function rotateSecret(secretId: string, values: NewValues): Promise<Secret> {
  const rotated = await answer(
    api.POST("/api/v1/secrets/{secret_id}/rotate", { params: { path: { secret_id: secretId } }, body: values }),
  );
  await changed();
  return rotated;
}

/** Refused (400) while a model definition uses it. */
export async function deleteSecret(secretId: string): Promise<void> {
  await api.DELETE("/api/3.0/mlflow/gateway/secrets/delete", { body: { secret_id: secretId } });
  await changed();
}

async function changed(): Promise<void> {
  await Promise.all(["secrets", "catalog"].map((noun) => queryClient.invalidateQueries({ queryKey: [noun] })));
}
