import type { ReactElement, ReactNode } from "react";
import { Focusable, type Placement, Tooltip as AriaTooltip, TooltipTrigger } from "react-aria-components";

import styles from "./tooltip.module.css";

/** What a short name means or an icon does. Its child must be able to have the focus: a keyboard reaches it too. */
export function Tooltip({
  text,
  placement = "top",
  isDisabled = false,
  children,
}: {
  text: ReactNode;
  placement?: Placement;
  /** Where it would only say again what stands there. */
  isDisabled?: boolean;
  children: ReactElement;
}) {
  return (
    <TooltipTrigger delay={350} closeDelay={80} isDisabled={isDisabled}>
      {children}
      <AriaTooltip offset={6} placement={placement} className={styles.tooltip ?? ""}>
        {text}
      </AriaTooltip>
    </TooltipTrigger>
  );
}

/** A text that says more on hover and focus: a relative time and its absolute one, a short figure and its whole one. */
export function Hint({ text, children }: { text: ReactNode; children: ReactNode }) {
  return (
    <Tooltip text={text}>
      <Focusable>
        <span role="note" className={styles.hint}>
          {children}
        </span>
      </Focusable>
    </Tooltip>
  );
}
