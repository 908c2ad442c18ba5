/** What a call came to, in the same words on every page. */

import { useTranslation } from "react-i18next";

import { count, money, short } from "@/shared/format/numbers";
import { Badge, type Tone } from "@/shared/ui/badge";

export type Outcome = "ok" | "error" | "client_gone" | "provider_gone" | "timeout" | "refused" | "unknown";

const TONES: Record<Outcome, Tone> = {
  ok: "good",
  error: "bad",
  timeout: "bad",
  provider_gone: "bad",
  client_gone: "warn",
  refused: "warn",
  unknown: "neutral",
};

export function OutcomeBadge({ status }: { status: Outcome }) {
  const { t } = useTranslation();
  return (
    <Badge tone={TONES[status]} dot>
      {t(`traces.status.${status}`)}
    </Badge>
  );
}

/** Money that may be unknown, or known in part, or a guess: each is said. */
export function Cost({
  cost,
  estimated,
  unpriced,
}: {
  cost: string | null;
  /** Of tokens that we counted. */
  estimated: boolean;
  /** Attempts with tokens and without a price. */
  unpriced: number;
}) {
  const { t } = useTranslation();
  const hints = [
    ...(cost === null && !unpriced ? [t("traces.noCost")] : []),
    ...(unpriced ? [t("traces.unpriced", { count: unpriced })] : []),
    ...(estimated ? [t("traces.estimatedCost")] : []),
  ];
  const said = `${cost !== null && (estimated || unpriced) ? "~" : ""}${money(cost)}`;
  return hints.length ? (
    <span className="numbers" title={hints.join("\n")}>
      {said}
    </span>
  ) : (
    <span className="numbers">{said}</span>
  );
}

export type Provenance = "reported" | "drained" | "estimated" | "unknown";

/** `exact`: to the unit. */
export function Tokens({
  value,
  provenance,
  exact = false,
}: {
  value: number | null;
  provenance: Provenance;
  exact?: boolean;
}) {
  const { t } = useTranslation();
  const said = exact ? count(value) : short(value);
  if (value === null) return <span title={t("traces.noTokens")}>{said}</span>;
  if (provenance !== "estimated") return <span className="numbers">{said}</span>;
  return (
    <span className="numbers" title={t("traces.provenanceHints.estimated")}>
      {`~${said}`}
    </span>
  );
}
