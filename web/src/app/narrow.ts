import { useSyncExternalStore } from "react";

// As in shell.module.css: below it the navigation is icons alone.
const NARROW = window.matchMedia("(width < 1040px)");

/** Whether the navigation has no room for words. */
export function useNarrow(): boolean {
  return useSyncExternalStore(
    (changed) => {
      NARROW.addEventListener("change", changed);
      return () => NARROW.removeEventListener("change", changed);
    },
    () => NARROW.matches,
  );
}
