import { queryOptions } from "@tanstack/react-query";

import { answer, api, queryClient } from "./client";

/** Who is signed in. A 401 is an `ApiProblem`: nobody is. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: () => answer(api.GET("/api/v1/session")),
  staleTime: 60_000,
});

export async function signIn(proof: { key: string } | { token: string }): Promise<void> {
  const who =
    "key" in proof
      ? await answer(api.POST("/api/v1/session", { body: proof }))
      : await answer(api.POST("/api/v1/session/link", { body: proof }));
  queryClient.clear();
  queryClient.setQueryData(sessionQuery.queryKey, who);
}

/** Whoever signs in next in this tab finds nothing of what was done in it. */
export async function signOut(): Promise<void> {
  await api.DELETE("/api/v1/session");
  queryClient.clear();
  sessionStorage.clear();
}
