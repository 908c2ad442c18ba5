import { queryOptions } from "@tanstack/react-query";

import { answer, api, type Schemas } from "./client";

export type Provider = Schemas["ProviderRow"];

/** The providers that this version can call: they change with the version alone. */
export const providersQuery = queryOptions({
  queryKey: ["providers"],
  queryFn: async () => (await answer(api.GET("/api/v1/providers"))).providers,
  staleTime: Infinity,
});
