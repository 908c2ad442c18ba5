import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { ApiProblem } from "@/api/client";
import { changeRetention, type Periods, type Retention, retentionQuery } from "@/api/server";
import { count } from "@/shared/format/numbers";
import { Time } from "@/shared/format/time";
import { Button } from "@/shared/ui/button";
import { Callout, LoadFailed } from "@/shared/ui/callout";
import { NumberField } from "@/shared/ui/number-field";
import { Confirm } from "@/shared/ui/dialog";
import { Fact, Facts, Panel, Skeleton } from "@/shared/ui/page";
import { Cell, Column, Row, Table, TableBody, TableHeader } from "@/shared/ui/table";
import { done } from "@/shared/ui/toast";

import styles from "./settings.module.css";

const KINDS = ["content_days", "trace_days", "ledger_days"] as const;

/** For how long what is kept; of the server, and of endpoints that say otherwise. */
export function RetentionTab() {
  const { t } = useTranslation();
  const { data, error } = useQuery(retentionQuery);
  if (!data) return error ? <LoadFailed error={error} /> : <Skeleton height="300px" />;
  return (
    <div className={styles.tab}>
      <Panel title={t("settings.periods")} description={t("settings.periodsText")}>
        <PeriodsForm key={KINDS.map((kind) => data[kind] ?? "").join()} of={data} />
      </Panel>
      {error && <LoadFailed error={error} />}
      <Panel title={t("settings.swept")} description={t("settings.sweptText")}>
        <Facts columns={3}>
          <Fact term={t("settings.kinds.content_days")}>{count(data.swept.content)}</Fact>
          <Fact term={t("settings.kinds.trace_days")}>{count(data.swept.traces)}</Fact>
          <Fact term={t("settings.kinds.ledger_days")}>{count(data.swept.calls)}</Fact>
          <Fact term={t("settings.sweptAt")}>
            {data.swept.under_way ? t("settings.underWay") : <Time at={data.swept.at} />}
          </Fact>
        </Facts>
        {data.swept.fault !== null && <Callout tone="bad">{data.swept.fault}</Callout>}
      </Panel>
      {data.endpoints.length > 0 && (
        <Panel flush title={t("settings.ownPeriods")}>
          <Table label={t("settings.ownPeriods")}>
            <TableHeader>
              <Column isRowHeader>{t("settings.endpoint")}</Column>
              {KINDS.map((kind) => (
                <Column key={kind} numeric>
                  {t(`settings.kinds.${kind}`)}
                </Column>
              ))}
            </TableHeader>
            <TableBody items={data.endpoints.map((one) => ({ ...one, id: one.endpoint }))}>
              {(one) => (
                <Row id={one.id}>
                  <Cell>
                    <Link to="/endpoints/$name" params={{ name: one.endpoint }}>
                      {one.endpoint}
                    </Link>
                  </Cell>
                  {KINDS.map((kind) => (
                    <Cell key={kind} numeric>
                      {one[kind] === null || one[kind] === undefined
                        ? t("settings.asServer")
                        : t("settings.days", { count: one[kind] })}
                    </Cell>
                  ))}
                </Row>
              )}
            </TableBody>
          </Table>
        </Panel>
      )}
    </div>
  );
}

function PeriodsForm({ of: now }: { of: Retention }) {
  const { t } = useTranslation();
  const [days, setDays] = useState<Record<(typeof KINDS)[number], number | null>>({
    content_days: now.content_days ?? null,
    trace_days: now.trace_days ?? null,
    ledger_days: now.ledger_days ?? null,
  });
  const [asking, setAsking] = useState(false);
  const saving = useMutation({
    mutationFn: (periods: Periods) => changeRetention(periods),
    onSuccess: () => done(t("settings.periodsSaved")),
    onSettled: () => setAsking(false),
  });
  const fields = saving.error instanceof ApiProblem ? saving.error.fields : {};
  const shorter = KINDS.flatMap((kind) => {
    const [wanted, had] = [days[kind], now[kind] ?? null];
    return wanted !== null && (had === null || wanted < had) ? [{ kind, wanted, had }] : [];
  });
  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (shorter.length > 0) setAsking(true);
    else saving.mutate(days);
  }
  return (
    <form className={styles.form} onSubmit={submit} noValidate>
      <div className={styles.triple}>
        {KINDS.map((kind) => (
          <NumberField
            key={kind}
            label={t(`settings.kinds.${kind}`)}
            description={t(`settings.kindHints.${kind}`)}
            unit={t("settings.daysUnit")}
            placeholder={t("settings.forGood")}
            minValue={1}
            value={days[kind] ?? NaN}
            onChange={(said) => setDays({ ...days, [kind]: Number.isNaN(said) ? null : said })}
            error={fields[kind]}
          />
        ))}
      </div>
      {saving.error && Object.keys(fields).length === 0 && (
        <Callout tone="bad">{saving.error.message || t("problems.network")}</Callout>
      )}
      <div>
        {/* Never disabled: a number is taken over when its field is left, which is with the press itself. */}
        <Button type="submit" look="primary" isPending={saving.isPending}>
          {t("settings.savePeriods")}
        </Button>
      </div>
      <Confirm
        isOpen={asking}
        title={t("settings.shorterTitle")}
        action={t("settings.shorterAction")}
        isPending={saving.isPending}
        onConfirm={() => saving.mutate(days)}
        onClose={() => setAsking(false)}
      >
        <ul>
          {shorter.map(({ kind, wanted, had }) => (
            <li key={kind}>
              {t("settings.insteadOf", {
                kind: t(`settings.kinds.${kind}`),
                wanted: t("settings.days", { count: wanted }),
                had: had === null ? t("settings.forGood") : t("settings.days", { count: had }),
              })}
            </li>
          ))}
        </ul>
        <p>{t("settings.shorter")}</p>
      </Confirm>
    </form>
  );
}
