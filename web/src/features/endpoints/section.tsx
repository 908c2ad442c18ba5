import { ChevronRight } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Button, Disclosure, DisclosurePanel, Heading } from "react-aria-components";

import styles from "./form.module.css";

/** A part of the form that most endpoints do not need. Shut, it says in `summary` what is in it; what is `wrong` in it opens it. */
export function Section({
  title,
  summary,
  wrong,
  children,
}: {
  title: string;
  summary: ReactNode;
  wrong: boolean;
  children: ReactNode;
}) {
  const [open, setOpen] = useState(false);
  if (wrong && !open) setOpen(true); // and so it stays: the first key in the field takes the fault off
  return (
    <Disclosure isExpanded={open} onExpandedChange={setOpen} className={styles.section ?? ""}>
      <Heading level={2} className={styles.sectionHead ?? ""}>
        <Button slot="trigger" className={styles.sectionButton ?? ""}>
          <ChevronRight aria-hidden="true" />
          <span className={styles.sectionTitle}>{title}</span>
          <span className={styles.sectionSummary}>{summary}</span>
        </Button>
      </Heading>
      <DisclosurePanel className={styles.sectionPanel ?? ""}>
        <div className={styles.sectionBody}>{children}</div>
      </DisclosurePanel>
    </Disclosure>
  );
}
