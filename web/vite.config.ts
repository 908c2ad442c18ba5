import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, URL } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";

import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const gateway = process.env.SPANGATE_URL ?? "http://127.0.0.1:4000";

/** Each text asset twice more, packed as small as it gets: control sends the one that the browser takes. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    writeBundle({ dir = "" }) {
      const assets = join(dir, "assets");
      for (const name of readdirSync(assets).filter((file) => /\.(js|css|svg)$/.test(file))) {
        const content = readFileSync(join(assets, name));
        writeFileSync(join(assets, `${name}.gz`), gzipSync(content, { level: 9 }));
        writeFileSync(join(assets, `${name}.br`), brotliCompressSync(content));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), compressed()],
  resolve: { alias: { "@": fileURLToPath(new URL("src", import.meta.url)) } },
  build: {
    outDir: "../src/spangate/control/ui",
    emptyOutDir: true,
    manifest: "manifest.json", // what checks/budget.mjs adds up
    assetsInlineLimit: 0, // the page's policy allows no data: in fonts and scripts
    modulePreload: { polyfill: false },
  },
  server: {
    // `npm run dev` beside a running gateway: its API, and its data plane for the playground.
    proxy: Object.fromEntries(
      ["/api", "/v1", "/v1beta", "/gateway", "/version", "/health"].map((path) => [path, gateway]),
    ),
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["./src/testing.ts"],
  },
});
