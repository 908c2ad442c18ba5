import { readdirSync } from "node:fs";

import js from "@eslint/js";
import i18next from "eslint-plugin-i18next";
import a11y from "eslint-plugin-jsx-a11y";
import hooks from "eslint-plugin-react-hooks";
import ts from "typescript-eslint";

/** What the files of a folder may not import. From another folder all is imported by its whole name: `@/shared/…`. */
function closed(folder, ...patterns) {
  const upward = { regex: "^\\.\\./\\.\\./", message: "Say the whole name: @/…" };
  return {
    files: [`src/${folder}/**`],
    rules: { "no-restricted-imports": ["error", { patterns: [upward, ...patterns] }] },
  };
}

const FEATURES = readdirSync(new URL("src/features", import.meta.url));

export default ts.config(
  { ignores: ["src/api/schema.d.ts", "node_modules"] },
  js.configs.recommended,
  ts.configs.strictTypeChecked,
  ts.configs.stylisticTypeChecked,
  a11y.flatConfigs.recommended,
  hooks.configs.flat.recommended,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ["*.js", "public/*.js", "checks/*.mjs"] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/consistent-type-definitions": "off",
      // An empty text is often nothing said.
      "@typescript-eslint/prefer-nullish-coalescing": ["error", { ignorePrimitives: { string: true } }],
      // Dialogs and search fields that open on a key press take the focus with them.
      "jsx-a11y/no-autofocus": "off",
    },
  },
  // One noun, one folder: a feature imports api and shared, never another feature; shared is fed by props; api draws nothing.
  ...FEATURES.map((name) =>
    closed(`features/${name}`, {
      regex: `^(@/app/|@/features/(?!${name}/)|\\.\\./)`,
      message: "Features do not import each other: what two of them need lives in shared, fed by props.",
    }),
  ),
  closed("shared", { regex: "^@/(features|app|api)/", message: "shared is fed by props." }),
  closed("api", { regex: "^@/(features|app|shared/ui)/", message: "api draws nothing." }),
  {
    files: ["src/**/*.tsx"],
    ignores: ["src/**/*.test.tsx"],
    plugins: { i18next },
    rules: {
      // Whatever a person reads comes from locales/en.json.
      "i18next/no-literal-string": [
        "error",
        {
          mode: "jsx-only",
          "jsx-attributes": {
            include: [
              "^(label|title|alt|placeholder|description|errorMessage|aria-label|aria-description|aria-roledescription|heading|hint|summary|unit)$",
            ],
          },
          words: { exclude: ["[^\\p{L}]*", "…"] },
          message: "Texts come from locales/en.json.",
        },
      ],
    },
  },
  {
    files: ["**/*.{js,mjs}"],
    ...ts.configs.disableTypeChecked,
    languageOptions: {
      globals: { console: "readonly", process: "readonly", document: "readonly", localStorage: "readonly" },
    },
  },
);
