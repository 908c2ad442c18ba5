import { queryOptions } from "@tanstack/react-query";

import { answer, api, queryClient, type Schemas } from "./client";

export type Override = Schemas["OverrideRow"];
export type OverrideAsked = Schemas["OverrideAsked"];
export type OverrideChanged = Schemas["Changed"];
export type Difference = Schemas["Difference"];

export const overridesQuery = queryOptions({
  queryKey: ["prices", "overrides"],
  queryFn: async ({ signal }) => (await answer(api.GET("/api/v1/prices/overrides", { signal }))).overrides,
});

/** The book held against its second source; `inUse`: of models that endpoints here use. */
export function priceCheckQuery(inUse: boolean) {
  return queryOptions({
    queryKey: ["prices", "check", inUse],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/prices/check", { params: { query: { in_use: inUse } }, signal })),
    staleTime: 60_000,
  });
}

export async function createOverride(asked: OverrideAsked): Promise<void> {
  await api.POST("/api/v1/prices/overrides", { body: asked });
  await changed();
}

/** It may have another id from then on. */
export async function changeOverride(overrideId: string, changes: OverrideChanged): Promise<void> {
  await api.PATCH("/api/v1/prices/overrides/{override_id}", {
    params: { path: { override_id: overrideId } },
    body: changes,
  });
  await changed();
}

export async function deleteOverride(overrideId: string): Promise<void> {
  await api.DELETE("/api/v1/prices/overrides/{override_id}", { params: { path: { override_id: overrideId } } });
  await changed();
}

/** Takes the list that is installed with this version. */
export async function refreshPrices(): Promise<Schemas["Refreshed"]> {
  const refreshed = await answer(api.POST("/api/v1/prices/refresh", { body: { correct: false, force: false } }));
  await changed();
  return refreshed;
}

async function changed(): Promise<void> {
  await Promise.all(["prices", "catalog", "status"].map((noun) => queryClient.invalidateQueries({ queryKey: [noun] })));
}
