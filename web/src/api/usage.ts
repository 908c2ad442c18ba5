import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { answer, api, type Schemas } from "./client";
import type { paths } from "./schema";

/** What is asked of usage: the API's own words. */
export type UsageQuestion = NonNullable<paths["/api/v1/usage"]["get"]["parameters"]["query"]>;

/** `live`: ms between two looks; what was there stays in sight while the next is fetched. */
export function usageQuery(question: UsageQuestion, live: number | false = false) {
  return queryOptions({
    queryKey: ["usage", question],
    // The route can answer as CSV too, so its type is either; JSON is what is asked for here.
    queryFn: async ({ signal }) =>
      (await answer(api.GET("/api/v1/usage", { params: { query: question }, signal }))) as Schemas["Usage"],
    placeholderData: keepPreviousData,
    refetchInterval: live,
  });
}
