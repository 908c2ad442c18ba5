import "./shared/ui/base.css";
import "./i18n";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./app/app";

const PATIENCE = 500; // ms

/** Text that changes its font moves what is beside it: the first text waits for the font, or for as long as nobody notices. */
const font = document.fonts.load('1em "Inter Variable"').catch(() => []);
const late = new Promise((resolve) => setTimeout(resolve, PATIENCE));

void Promise.race([font, late]).then(() => {
  const root = document.getElementById("root");
  if (root)
    createRoot(root).render(
      <StrictMode>
        <App />
      </StrictMode>,
    );
});
