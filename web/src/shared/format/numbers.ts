/** Money, tokens, shares and spans of time as a person reads them; in one place, so that a page never contradicts another. */

const LOCALE = "en-US";
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumSignificantDigits: 3 });
// A tenth of a percent, or two digits where that says more: of 99.5% and 0.5% neither is all.
const part = new Intl.NumberFormat(LOCALE, {
  style: "percent",
  maximumFractionDigits: 1,
  maximumSignificantDigits: 2,
  roundingPriority: "morePrecision",
});
const percent = new Intl.NumberFormat(LOCALE, { style: "percent", maximumSignificantDigits: 2 });
const NOTHING = "–";

/** `1,234,567`. */
export function count(value: number | null | undefined): string {
  return value == null ? NOTHING : whole.format(value);
}

/** `1.23M`; below ten thousand to the unit. */
export function short(value: number | null | undefined): string {
  if (value == null) return NOTHING;
  return Math.abs(value) < 10_000 ? whole.format(value) : compact.format(value);
}

/** A share of one: `0.25` is `25%`. */
export function share(value: number | null | undefined): string {
  return value == null ? NOTHING : part.format(value);
}

/** A change in parts of what was: `0.25` is `+25%`. */
export function change(value: number | null | undefined): string {
  if (value == null) return NOTHING;
  return `${value > 0 ? "+" : value < 0 ? "−" : "±"}${percent.format(Math.abs(value))}`;
}

/**
 * US dollars from the decimal string that the API tells (never a float there). Cents from one dollar on; below it so many digits that two
 * say something: a call costs $0.000042. Unknown is a dash, which is not zero.
 */
export function money(value: string | number | null | undefined): string {
  if (value == null) return NOTHING;
  const dollars = Number(value);
  if (dollars === 0) return "$0";
  const size = Math.abs(dollars);
  const digits = size >= 1 ? 2 : Math.min(12, Math.max(2, 1 - Math.floor(Math.log10(size))));
  return new Intl.NumberFormat(LOCALE, {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  }).format(dollars);
}

/** A rate from the decimal string that the API tells: all of its digits, as $0.125 and $0.13 are two prices. */
export function price(usd: string | null | undefined): string {
  if (usd == null) return NOTHING;
  const [dollars = "", part = ""] = usd.split(".");
  return `$${whole.format(Number(dollars))}.${part.padEnd(2, "0")}`;
}

/** A span of time from ms: `840 ms`, `1.24 s`, `2 min 5 s`, `3 h 20 min`. */
export function duration(ms: number | null | undefined): string {
  if (ms == null) return NOTHING;
  if (ms < 10) return `${Number(ms.toPrecision(2))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60 * 48) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(minutes / 60 / 24)} d`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes in powers of ten: `1.2 MB`. */
export function bytes(value: number | null | undefined): string {
  if (value == null) return NOTHING;
  const rounded = Number(value.toPrecision(3)); // 999,600 bytes are 1.00 MB
  const power = value < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(rounded) / 3));
  return `${power === 0 ? value : (value / 1000 ** power).toPrecision(3)} ${UNITS[power] ?? ""}`;
}
