import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { Unreachable } from "@/api/client";
import { Button } from "@/shared/ui/button";
import { Empty, Page } from "@/shared/ui/page";

export function Missing() {
  const { t } = useTranslation();
  return (
    <Page title={t("app.notFound.title")}>
      <Empty title={t("app.notFound.text")} action={<Link to="/">{t("app.notFound.action")}</Link>} />
    </Page>
  );
}

/** In place of the whole app, the shell too: so it brings a main landmark of its own. */
export function Failed({ error }: { error: unknown }) {
  const { t } = useTranslation();
  return (
    <main>
      <Page title={t("app.failed.title")}>
        <Empty
          title={
            error instanceof Unreachable
              ? t("problems.network")
              : error instanceof Error
                ? error.message
                : String(error)
          }
          action={<Button onPress={() => window.location.reload()}>{t("app.failed.action")}</Button>}
        />
      </Page>
    </main>
  );
}
