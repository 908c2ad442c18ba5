/** How the UI talks to its gateway: the public API, typed from its OpenAPI, under the session's cookie. */

import { QueryClient } from "@tanstack/react-query";
import createClient, { type Middleware } from "openapi-fetch";

import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** Why something was not answered as asked. `fields`: what is wrong by the name of the field, for a form to show beside it. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;

  constructor(status: number, message: string, fields: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "ApiProblem";
    this.status = status;
    this.fields = fields;
  }
}

/** The gateway was not reached at all. */
export class Unreachable extends Error {}

const problems: Middleware = {
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
  },
  onError() {
    return new Unreachable();
  },
};

/** What a form says above its fields, of which it has `shown`: what is wrong with none of them in particular. null: nothing. */
export function atLarge(error: Error | null, shown: readonly string[]): Error | null {
  const fields = error instanceof ApiProblem ? Object.keys(error.fields) : [];
  return fields.length > 0 && fields.every((field) => shown.includes(field)) ? null : error;
}

export async function problemOf(response: Response): Promise<ApiProblem> {
  const said: unknown = await response.json().catch(() => null);
  const body = (typeof said === "object" && said !== null ? said : {}) as {
    message?: unknown;
    error?: { message?: unknown } | string;
    errors?: { field: string; message: string }[];
  };
  const inner = typeof body.error === "object" ? body.error.message : body.error;
  const message = [body.message, inner].find((text): text is string => typeof text === "string");
  const fields = Object.fromEntries((body.errors ?? []).map(({ field, message }) => [field, message]));
  return new ApiProblem(response.status, message ?? `HTTP ${response.status}`, fields);
}

export const api = createClient<paths>({
  baseUrl: "/",
  credentials: "same-origin",
  // Repeated: ?experiment_id=1&experiment_id=2, as FastAPI reads lists.
  querySerializer: { array: { style: "form", explode: true } },
});
api.use(problems);

/** The answer of a call made with `api`. What is not one was thrown already. */
export async function answer<T>(call: Promise<{ data?: T }>): Promise<T> {
  const { data } = await call;
  return data as T;
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What was refused is refused again; what did not come through may come now.
      retry: (failures, error) => failures < 2 && !(error instanceof ApiProblem && error.status < 500),
    },
  },
});
