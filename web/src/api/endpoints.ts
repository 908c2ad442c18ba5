import { queryOptions } from "@tanstack/react-query";

import { answer, api, queryClient, type Schemas } from "./client";

export type Endpoint = Schemas["Endpoint"];
export type EndpointAsked = Schemas["EndpointAsked"];
export type EndpointSettings = Schemas["Settings"];
export type Target = Schemas["Target"];
export type TargetAsked = Schemas["TargetAsked"];

/** All of them, with how their models are; looked at again by itself, as that changes. */
export const endpointsQuery = queryOptions({
  queryKey: ["endpoints"],
  queryFn: async ({ signal }) => (await answer(api.GET("/api/v1/endpoints", { signal }))).endpoints,
  refetchInterval: 10_000,
});

export function endpointQuery(name: string) {
  return queryOptions({
    queryKey: ["endpoints", name],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/endpoints/{endpoint}", { params: { path: { endpoint: name } }, signal })),
  });
}

/** Who would miss it. For admins. */
export function usesQuery(name: string) {
  return queryOptions({
    queryKey: ["endpoints", name, "uses"],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/endpoints/{endpoint}/uses", { params: { path: { endpoint: name } }, signal })),
    staleTime: 0,
  });
}

export async function createEndpoint(asked: EndpointAsked): Promise<Endpoint> {
  const made = await answer(api.POST("/api/v1/endpoints", { body: asked }));
  await changed();
  return made;
}

/** `readAt`: its `updated_at` when it was read; refused (409) if it has changed since. null: replaced anyhow. */
export async function replaceEndpoint(name: string, asked: EndpointAsked, readAt: string | null): Promise<Endpoint> {
  const replaced = await answer(
    api.PUT("/api/v1/endpoints/{endpoint}", {
      params: { path: { endpoint: name } },
      body: { ...asked, updated_at: readAt },
    }),
  );
  await changed();
  return replaced;
}

export async function deleteEndpoint(name: string): Promise<void> {
  await api.DELETE("/api/v1/endpoints/{endpoint}", { params: { path: { endpoint: name } } });
  queryClient.removeQueries({ queryKey: ["endpoints", name] });
  await changed();
}

/** An endpoint may bring secrets, model definitions and an experiment with it, and is named where they are listed. */
async function changed(): Promise<void> {
  await Promise.all(
    ["endpoints", "secrets", "catalog", "experiments"].map((noun) =>
      queryClient.invalidateQueries({ queryKey: [noun] }),
    ),
  );
}
