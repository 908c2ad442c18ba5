/** What many calls came to, in the same words on every page: a `~` where it is not all or not exact, a dash where nothing of it is known. */

import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";

import { count, money, share, short } from "@/shared/format/numbers";
import { Hint } from "@/shared/ui/tooltip";

/** Of the API's measures, what is said here. */
export type Sums = {
  input_tokens: number;
  output_tokens: number;
  cost: string | null;
  unpriced_share: number | null;
  estimated_share: number | null;
  /** Whose tokens nobody knows. */
  unknown_attempts: number;
};

/** `doubts`: why it is not exact. */
type Said = { said: string; doubts: string[] };

/** null: there were some, and nobody knows how many. */
export function tokensOf(sums: Sums): number | null {
  const tokens = sums.input_tokens + sums.output_tokens;
  return tokens === 0 && sums.unknown_attempts > 0 ? null : tokens;
}

/** In US dollars; null: there was some, and nobody knows how much. */
export function costOf(sums: Sums): string | null {
  return Number(sums.cost) === 0 && sums.unknown_attempts > 0 ? null : sums.cost;
}

export function tokensSaid(sums: Sums, t: TFunction): Said {
  return marked(tokensOf(sums), short, uncounted(sums, t));
}

export function costSaid(sums: Sums, t: TFunction): Said {
  const unpriced =
    sums.cost === null
      ? [t("sums.noPrice")]
      : sums.unpriced_share
        ? [t("sums.unpriced", { share: share(sums.unpriced_share) })]
        : [];
  return marked(costOf(sums), money, [...unpriced, ...uncounted(sums, t)]);
}

function uncounted({ estimated_share, unknown_attempts: unknown }: Sums, t: TFunction): string[] {
  return [
    ...(estimated_share ? [t("sums.estimated", { share: share(estimated_share) })] : []),
    ...(unknown ? [t("sums.unknown", { count: unknown, attempts: count(unknown) })] : []),
  ];
}

function marked<Value>(value: Value | null, format: (value: Value | null) => string, doubts: string[]): Said {
  return { said: `${value !== null && doubts.length ? "~" : ""}${format(value)}`, doubts };
}

/** Without any sums there were no calls. */
export function CostOf({ sums }: { sums: Sums | undefined }) {
  const { t } = useTranslation();
  return sums ? <Doubted {...costSaid(sums, t)} /> : money("0");
}

export function TokensOf({ sums }: { sums: Sums }) {
  const { t } = useTranslation();
  return <Doubted {...tokensSaid(sums, t)} />;
}

function Doubted({ said, doubts }: Said) {
  return doubts.length ? <Hint text={doubts.join("\n")}>{said}</Hint> : said;
}
