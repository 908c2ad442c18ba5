import { useMutation } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";
import { type ReactNode, type SubmitEvent, useEffect, useState } from "react";
import { Trans, useTranslation } from "react-i18next";

import { ApiProblem } from "@/api/client";
import { signIn } from "@/api/session";
import { Button } from "@/shared/ui/button";
import mark from "@/shared/mark.svg";
import { Callout } from "@/shared/ui/callout";
import { TextField } from "@/shared/ui/field";

import styles from "./page.module.css";

const CODE = { code: <code /> };

/** By key, or by the one-time link that `spangate up` prints: its token is the address's fragment, which no server and no log sees. */
export function SignInPage() {
  const { t } = useTranslation();
  const router = useRouter();
  const { next } = useSearch({ from: "/sign-in" });
  const [key, setKey] = useState("");
  const entering = useMutation({
    mutationFn: signIn,
    // Only a path of ours: a link that was sent must not lead away.
    onSuccess: () => router.history.replace(next && /^\/(?![/\\])/.test(next) ? next : "/"),
  });
  const { mutate: enter } = entering;

  useEffect(() => {
    const token = window.location.hash.slice(1);
    if (!token) return;
    window.history.replaceState(null, "", window.location.pathname); // it is good for one time only
    enter({ token });
  }, [enter]);

  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    enter({ key: key.trim() });
  }

  function fault(): ReactNode {
    if (!(entering.error instanceof ApiProblem)) return t("problems.network");
    if (entering.variables && "token" in entering.variables)
      return <Trans i18nKey="signin.linkFailed" components={CODE} />;
    return entering.error.message;
  }

  return (
    <main className={styles.page}>
      <title>{`${t("signin.title")} · Spangate`}</title>
      <form className={styles.form} onSubmit={submit}>
        <img src={mark} width="36" height="36" alt="" />
        <h1>{t("signin.title")}</h1>
        <p className="muted">{t("signin.text")}</p>
        <TextField
          label={t("signin.key")}
          description={<Trans i18nKey="signin.keyHint" components={CODE} />}
          type="password"
          autoComplete="current-password"
          autoFocus
          mono
          value={key}
          onChange={setKey}
        />
        {entering.isError && <Callout tone="bad">{fault()}</Callout>}
        <Button type="submit" look="primary" isPending={entering.isPending} isDisabled={!key.trim()}>
          {t("signin.action")}
        </Button>
      </form>
    </main>
  );
}
