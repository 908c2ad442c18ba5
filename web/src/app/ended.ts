/** A session that ends while its pages are open: with its key, after its 12 hours, or in another tab. */

import { ApiProblem, queryClient } from "@/api/client";
import { sessionQuery } from "@/api/session";

import { router } from "./router";

/** Whoever is told 401 signs in again, and comes back. The session itself is asked first: a provider may say 401 too. */
export function leaveWhenEnded(): void {
  let asking = false;

  async function ask() {
    if (asking || !queryClient.getQueryData(sessionQuery.queryKey)) return; // who is not in need not leave
    asking = true;
    try {
      await queryClient.query({ ...sessionQuery, staleTime: 0 });
    } catch (error) {
      if (!refused(error)) return;
      queryClient.clear();
      await router.invalidate(); // the shell's beforeLoad leads to the door
    } finally {
      asking = false;
    }
  }

  queryClient.getQueryCache().subscribe((event) => {
    if (event.type === "updated" && event.action.type === "error" && refused(event.action.error)) void ask();
  });
  queryClient.getMutationCache().subscribe((event) => {
    if (event.type === "updated" && event.action.type === "error" && refused(event.action.error)) void ask();
  });
}

function refused(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 401;
}
