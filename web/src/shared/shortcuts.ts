import { useEffect, useEffectEvent } from "react";

/** Keys pressed one after the other: `["/"]`, `["g", "t"]`. */
export type Keys = readonly string[];
const PATIENCE = 900; // ms between the two keys

/** Runs `action` when the keys are pressed outside of fields, with no modifier but shift. */
export function useShortcut(keys: Keys, action: () => void): void {
  const act = useEffectEvent(action);
  const pattern = keys.join(" ");
  useEffect(() => {
    const wanted = pattern.split(" ");
    let pressed: string[] = [];
    let last = 0;
    function onKey(event: KeyboardEvent) {
      if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target) || inDialog(event.target)) return;
      if (event.timeStamp - last > PATIENCE) pressed = [];
      last = event.timeStamp;
      pressed = [...pressed, event.key].slice(-wanted.length);
      if (pressed.join(" ") !== pattern) return;
      pressed = [];
      event.preventDefault();
      act();
    }
    // Before React Aria's lists take letters for typing ahead.
    window.addEventListener("keydown", onKey, { capture: true });
    return () => window.removeEventListener("keydown", onKey, { capture: true });
  }, [pattern]);
}

function writes(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement && /^(checkbox|radio)$/.test(target.type)) return false; // a switch takes no letters
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.role === "combobox")
  );
}

/** A dialog has the keyboard for itself. */
function inDialog(target: EventTarget | null): boolean {
  return (
    target instanceof Element &&
    target.closest('[role="dialog"], [role="alertdialog"], [role="menu"], [role="listbox"]') !== null
  );
}
