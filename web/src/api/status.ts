import { queryOptions } from "@tanstack/react-query";

import { answer, api } from "./client";

/** What is degraded; asked for all the time, so the server answers it from memory. */
export const statusQuery = queryOptions({
  queryKey: ["status"],
  queryFn: () => answer(api.GET("/api/v1/status")),
  refetchInterval: 10_000,
});
