/** What a first visit loads, compressed: the page, the entry, the overview, all that they import, and the one font that English needs. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BUDGET = 250_000; // bytes
const FIRST = ["index.html", "src/features/overview/page.tsx"];

const dist = join(import.meta.dirname, "../../src/spangate/control/ui");
const manifest = JSON.parse(readFileSync(join(dist, "manifest.json"), "utf8"));
const files = new Set(["index.html"]);
const seen = new Set();

function add(name) {
  const chunk = manifest[name];
  if (!chunk) throw new Error(`The manifest has no ${name}: build the UI first, and name the first page right.`);
  if (seen.has(name)) return;
  seen.add(name);
  files.add(chunk.file);
  for (const file of [
    ...(chunk.css ?? []),
    ...(chunk.assets ?? []).filter((asset) => /latin-wght-normal/.test(asset) && !/ext/.test(asset)),
  ])
    files.add(file);
  for (const imported of chunk.imports ?? []) add(imported);
}

for (const name of FIRST) add(name);
const sizes = [...files].map((file) => {
  const content = readFileSync(join(dist, file));
  return [file, file.endsWith(".woff2") ? content.length : gzipSync(content, { level: 9 }).length];
});
const total = sizes.reduce((sum, [, size]) => sum + size, 0);
for (const [file, size] of sizes.sort((a, b) => b[1] - a[1])) console.log(`${String(size).padStart(8)}  ${file}`);
console.log(`${String(total).padStart(8)}  of ${BUDGET} bytes`);
if (total > BUDGET) {
  console.error("The first load is over its budget: load what the first page does not need later, with its route.");
  process.exit(1);
}
