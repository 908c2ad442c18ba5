import type { ReactElement, ReactNode } from "react";
import { Dialog, DialogTrigger, Popover } from "react-aria-components";

import styles from "./list.module.css";

/** A small form under the button that opens it. */
export function Drop({
  label,
  trigger,
  children,
}: {
  label: string;
  trigger: ReactElement;
  children: (close: () => void) => ReactNode;
}) {
  return (
    <DialogTrigger>
      {trigger}
      <Popover className={styles.drop ?? ""} offset={4} placement="bottom start">
        <Dialog aria-label={label} className={styles.dropped ?? ""}>
          {({ close }) => children(close)}
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}
