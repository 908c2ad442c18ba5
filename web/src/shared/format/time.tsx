import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

const absolute = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** An instant as the API tells it: ISO 8601, or Unix time in ms. */
export type Instant = string | number;

export function instant(at: Instant): number {
  return typeof at === "number" ? at : Date.parse(at);
}

/** `22 Nov 2026, 14:03:11`, in the person's own zone. */
export function when(at: Instant): string {
  return absolute.format(instant(at));
}

/** As `datetime-local` takes it: in the person's own zone, to the minute. */
export function minute(at: Instant): string {
  const ms = instant(at);
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

type Unit = "second" | "minute" | "hour" | "day" | "month" | "year";
/** Each unit, from how many ms on it is used, and how long it is: 45 days say more than one month. */
const STEPS: readonly (readonly [Unit, number, number])[] = [
  ["year", 2 * 365 * 86_400_000, 365 * 86_400_000],
  ["month", 60 * 86_400_000, 30 * 86_400_000],
  ["day", 86_400_000, 86_400_000],
  ["hour", 3_600_000, 3_600_000],
  ["minute", 60_000, 60_000],
  ["second", 1000, 1000],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "narrow" });

/** `12s ago`, `3h ago`, `in 2d`; null: within a second. */
export function ago(at: Instant, now: number): string | null {
  const apart = instant(at) - now;
  for (const [unit, from, size] of STEPS)
    if (Math.abs(apart) >= from) return relative.format(Math.trunc(apart / size), unit);
  return null;
}

/** A time relative to now, the absolute one on hover and focus. Counts on while it is looked at. */
export function Time({ at }: { at: Instant | null | undefined }) {
  const { t } = useTranslation();
  const [now, setNow] = useState(() => Date.now());
  const age = at == null ? 0 : Math.abs(now - instant(at));
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), age < 60_000 ? 1000 : 30_000);
    return () => clearInterval(timer);
  }, [age < 60_000]); // eslint-disable-line react-hooks/exhaustive-deps -- the pace, not each age
  if (at == null) return <span className="faint">{t("common.never")}</span>;
  return (
    <time dateTime={new Date(instant(at)).toISOString()} title={when(at)} className="numbers">
      {ago(at, now) ?? t("common.now")}
    </time>
  );
}
