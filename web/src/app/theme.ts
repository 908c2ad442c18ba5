/** Light, dark, or as the system has it. What was chosen is put into force by public/theme.js, before the first paint. */

import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
const PLACE = "spangate.theme";
const listeners = new Set<() => void>();

function current(): Theme {
  const said = document.documentElement.dataset.theme;
  return said === "light" || said === "dark" ? said : "system";
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const theme = useSyncExternalStore((changed) => {
    listeners.add(changed);
    return () => listeners.delete(changed);
  }, current);
  return [theme, choose];
}

function choose(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const changed of listeners) changed();
  try {
    localStorage.setItem(PLACE, theme);
  } catch {
    // Storage is forbidden or full: it holds until the page is loaded again.
  }
}
