/** Every page and its address. A page is loaded when it is first gone to. Its filters are the address's query: a view can be sent on. */

import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import type { QueryClient } from "@tanstack/react-query";

import { ApiProblem, queryClient } from "@/api/client";
import { sessionQuery } from "@/api/session";

import { Failed, Missing } from "./failed";
import { Shell } from "./shell";

type Search = Record<string, unknown>;

const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  errorComponent: Failed,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search: Search): { next?: string } => (typeof search.next === "string" ? { next: search.next } : {}),
  component: lazyRouteComponent(() => import("@/features/signin/page"), "SignInPage"),
});

/** All that needs a session. Who has none signs in first, and comes back. */
const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  component: Shell,
  errorComponent: Failed,
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queries.query({ ...sessionQuery, staleTime: "static" });
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 401)
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- how TanStack Router is told
        throw redirect({ to: "/sign-in", search: location.href === "/" ? {} : { next: location.href } });
      throw error;
    }
  },
});

/** Search parameters are checked by the page that reads them (features/<noun>/search.ts); the router keeps them as they are. */
const free = { validateSearch: (search: Search): Search => search };

const pages = [
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/",
    component: lazyRouteComponent(() => import("@/features/overview/page"), "OverviewPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/endpoints",
    component: lazyRouteComponent(() => import("@/features/endpoints/list"), "EndpointsPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/endpoints/new",
    component: lazyRouteComponent(() => import("@/features/endpoints/edit"), "NewEndpointPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/endpoints/$name",
    component: lazyRouteComponent(() => import("@/features/endpoints/page"), "EndpointPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/endpoints/$name/edit",
    component: lazyRouteComponent(() => import("@/features/endpoints/edit"), "EditEndpointPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/traces",
    component: lazyRouteComponent(() => import("@/features/traces/list"), "TracesPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/traces/$traceId",
    component: lazyRouteComponent(() => import("@/features/traces/page"), "TracePage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/sessions",
    component: lazyRouteComponent(() => import("@/features/sessions/list"), "SessionsPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/sessions/$sessionId",
    component: lazyRouteComponent(() => import("@/features/sessions/page"), "SessionPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/playground",
    component: lazyRouteComponent(() => import("@/features/playground/page"), "PlaygroundPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/experiments",
    component: lazyRouteComponent(() => import("@/features/experiments/page"), "ExperimentsPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/credentials",
    component: lazyRouteComponent(() => import("@/features/credentials/page"), "CredentialsPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/models",
    component: lazyRouteComponent(() => import("@/features/models/page"), "ModelsPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/keys",
    component: lazyRouteComponent(() => import("@/features/keys/page"), "KeysPage"),
  }),
  createRoute({
    ...free,
    getParentRoute: () => shell,
    path: "/settings",
    component: lazyRouteComponent(() => import("@/features/settings/page"), "SettingsPage"),
  }),
  // Any other address: said within the shell, so that the way on is at hand.
  createRoute({ ...free, getParentRoute: () => shell, path: "$", component: Missing }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren([signIn, shell.addChildren(pages)]),
  context: { queries: queryClient },
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0, // the query cache knows what is stale
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

declare module "react-aria-components" {
  interface RouterConfig {
    href: string;
  }
}
