import { queryOptions } from "@tanstack/react-query";

import { answer, api, queryClient, type Schemas } from "./client";

export type Server = Schemas["Server"];
export type Setting = Schemas["SettingRow"];
export type Periods = Schemas["Periods"];
export type Retention = Schemas["State"];
export type Size = Schemas["Size"];

/** What runs here, and how far the database is with the journals; both change all the time. For admins. */
export const serverQuery = queryOptions({
  queryKey: ["server"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/server", { signal })),
  refetchInterval: 5_000,
});

export const retentionQuery = queryOptions({
  queryKey: ["retention"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/retention", { signal })),
  refetchInterval: 10_000,
});

/** Counts rows and bytes: takes seconds on a large database, so it is asked for by a person. */
export const sizeQuery = queryOptions({
  queryKey: ["size"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/database/size", { signal })),
  staleTime: Infinity,
});

export const completenessQuery = queryOptions({
  queryKey: ["completeness"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/completeness", { signal })),
  refetchInterval: 5_000,
});

export async function changeRetention(periods: Periods): Promise<void> {
  await api.PATCH("/api/v1/retention", { body: periods });
  await queryClient.invalidateQueries({ queryKey: ["retention"] });
}
