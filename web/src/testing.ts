/** What every Vitest file stands on. */
import "./i18n";
