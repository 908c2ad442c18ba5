import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider as TanStackRouterProvider } from "@tanstack/react-router";
import { I18nProvider } from "react-aria-components";

import { queryClient } from "@/api/client";

import { leaveWhenEnded } from "./ended";
import { router } from "./router";

leaveWhenEnded();

export function App() {
  return (
    // Numbers are read as they are shown, and not as the browser's language has them: 2.5 is no 25.
    <I18nProvider locale="en-US">
      <QueryClientProvider client={queryClient}>
        <TanStackRouterProvider router={router} />
      </QueryClientProvider>
    </I18nProvider>
  );
}
