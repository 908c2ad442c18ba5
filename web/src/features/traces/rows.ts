import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";

import { newestFirst, newTracesQuery, tracesQuery } from "@/api/traces";

import { questionOf, type View } from "./search";

const PACE = 2_000; // ms between two looks of the live tail

/**
 * The list as it was fetched, and in front of it what has come since: looked for on coming back to it, and with `live` all the time.
 * It is fetched anew only while its top is in sight, as `setAtTop` is told: whoever reads further down keeps what is there.
 */
export function useTraces(view: View, enabled = true) {
  const said = JSON.stringify(questionOf(view));
  const question = useMemo(() => JSON.parse(said) as ReturnType<typeof questionOf>, [said]);
  const queries = useQueryClient();
  const options = useMemo(() => tracesQuery(question), [question]);
  const base = useInfiniteQuery({ ...options, enabled });
  const begun = () => ({ said, returned: queries.getQueryData(options.queryKey) !== undefined });
  const [visit, setVisit] = useState(begun);
  if (visit.said !== said) setVisit(begun());
  const { returned } = visit;
  const [atTop, setAtTop] = useState(false);
  const head = base.data?.pages[0]?.head;
  const recent = useQuery({
    ...newTracesQuery(question, head ?? "", view.live ? PACE : false),
    enabled: enabled && head !== undefined && (view.live || returned),
  });

  const gap = recent.data?.gap ?? false;
  useEffect(() => {
    if (!gap || !atTop) return;
    queries.removeQueries({ queryKey: newTracesQuery(question, "", false).queryKey });
    void queries.resetQueries({ queryKey: options.queryKey });
  }, [gap, atTop, queries, question, options]);

  const { data, fetchNextPage, isFetchingNextPage, isError, refetch } = base;
  const came = recent.data?.rows;
  const rows = useMemo(
    () => newestFirst([...(data?.pages.map((page) => page.traces) ?? []), came ?? []]),
    [data, came],
  );
  return {
    rows,
    isLoading: base.isPending,
    hasMore: base.hasNextPage,
    error: base.error ?? recent.error,
    more: useCallback(() => {
      if (!isFetchingNextPage && !isError) void fetchNextPage();
    }, [isFetchingNextPage, isError, fetchNextPage]),
    retry: () => void (!isError ? recent.refetch() : data ? fetchNextPage() : refetch()),
    setAtTop,
  };
}
