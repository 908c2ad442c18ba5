import { useRouter } from "@tanstack/react-router";
import { useEffect } from "react";

/** Loads the code of all pages once there is nothing else to do: who goes to one then waits for its data alone. */
export function usePagesAhead(): void {
  const router = useRouter();
  useEffect(
    () =>
      whenIdle(() => {
        for (const route of Object.values(router.routesById)) router.loadRouteChunk(route)?.catch(() => undefined); // going there says what is wrong
      }),
    [router],
  );
}

/** Returns what calls it off. */
function whenIdle(act: () => void): () => void {
  // Safari has no such callback yet.
  if (!("requestIdleCallback" in window)) {
    const timer = setTimeout(act, 2_000);
    return () => clearTimeout(timer);
  }
  const idle = requestIdleCallback(act);
  return () => cancelIdleCallback(idle);
}
