import { Fragment } from "react";

import styles from "./sparkline.module.css";

const WIDTH = 100;
const HEIGHT = 24;

/** The shape of a series, for a glance: `label` says what it is and its figures stand beside it, so it has no axes. null: there is none, and nothing is drawn. */
export function Sparkline({
  values,
  label,
  tone = "accent",
}: {
  values: readonly (number | null)[];
  label: string;
  tone?: "accent" | "bad";
}) {
  const most = Math.max(...values.map((value) => value ?? 0), 0);
  const step = values.length > 1 ? WIDTH / (values.length - 1) : WIDTH;
  const runs: { from: number; points: string[] }[] = []; // between holes
  values.forEach((value, index) => {
    if (value === null) return;
    if (index === 0 || values[index - 1] === null) runs.push({ from: index, points: [] });
    const y = most > 0 ? HEIGHT - 1.5 - (value / most) * (HEIGHT - 3) : HEIGHT - 1.5;
    runs.at(-1)?.points.push(`${(index * step).toFixed(1)},${y.toFixed(1)}`);
  });
  return (
    <svg
      role="img"
      aria-label={label}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      className={styles.sparkline}
      data-tone={most > 0 ? tone : "none"}
    >
      {runs.map(({ from, points }) => {
        const [left, right] = [from * step, (from + points.length - 1) * step].map((x) => x.toFixed(1));
        return (
          <Fragment key={from}>
            <polygon points={`${left},${HEIGHT} ${points.join(" ")} ${right},${HEIGHT}`} className={styles.area} />
            <polyline points={points.join(" ")} className={styles.line} vectorEffect="non-scaling-stroke" />
          </Fragment>
        );
      })}
    </svg>
  );
}
