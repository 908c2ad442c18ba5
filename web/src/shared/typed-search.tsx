import { useRouter } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import { useShortcut } from "@/shared/shortcuts";
import { SearchField } from "@/shared/ui/field";

const TYPING = 300; // ms without a key after which what was typed is searched for

/** A search field whose text is told, to be put into the address, a moment after the last key; at once on Enter. */
export function TypedSearch({
  label,
  placeholder,
  value,
  maxLength,
  focusedBySlash = false,
  onSearch,
}: {
  label: string;
  placeholder?: string;
  /** What the address says. */
  value: string;
  maxLength: number;
  /** It is the page's search: `/` goes to it. */
  focusedBySlash?: boolean;
  onSearch: (text: string) => void;
}) {
  const router = useRouter();
  const field = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(value);
  const [told, setTold] = useState(value);
  if (value !== told) {
    // The address has changed otherwise than by typing: back, or a link.
    setTold(value);
    setTyped(value);
  }
  useShortcut(["/"], () => {
    if (focusedBySlash) field.current?.focus();
  });
  const late = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(late.current), []);
  const search = useRef(onSearch);
  useEffect(() => {
    search.current = onSearch; // what else the address says may change before the text is told
  }, [onSearch]);

  function tell(text: string) {
    clearTimeout(late.current);
    setTold(text);
    search.current(text);
  }
  function tellLater(text: string) {
    const page = router.latestLocation.pathname;
    setTyped(text);
    clearTimeout(late.current);
    late.current = setTimeout(() => {
      // Who has gone on meanwhile, to a page that is still being loaded, is not called back.
      if (router.latestLocation.pathname === page) tell(text);
    }, TYPING);
  }
  return (
    <SearchField
      label={label}
      {...(placeholder !== undefined && { placeholder })}
      inputRef={field}
      value={typed}
      maxLength={maxLength}
      onChange={tellLater}
      onSubmit={tell}
    />
  );
}
