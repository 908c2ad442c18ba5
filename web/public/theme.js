// Before anything is painted: the theme that was chosen, lest a dark page flash white. A file of its own, as the policy allows no script in
// the page and the app itself comes too late. What it reads is written by src/app/theme.ts.
(() => {
  try {
    const chosen = localStorage.getItem("spangate.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage is forbidden: the system's theme it is.
  }
})();
