import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { answer, api, type Schemas } from "./client";

export type KnownModel = Schemas["KnownModel"];

/** Models to choose from: those with definitions first. `provider` null: of all of them. `q`: words of a name or title. */
export function knownModelsQuery(provider: string | null, q = "") {
  return queryOptions({
    queryKey: ["catalog", "models", provider, q],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/api/v1/catalog/models", {
          params: { query: { ...(provider === null ? {} : { provider }), ...(q ? { q } : {}) } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
  });
}
