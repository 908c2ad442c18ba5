import { useTranslation } from "react-i18next";

import type { Endpoint, Target } from "@/api/endpoints";
import { duration } from "@/shared/format/numbers";
import { Badge } from "@/shared/ui/badge";
import { Hint } from "@/shared/ui/tooltip";

/** Of one model. */
export function TargetHealth({ target }: { target: Target }) {
  const { t } = useTranslation();
  const { state, seconds } = target.health;
  if (state === "ok")
    return (
      <Badge tone="good" dot>
        {t("endpoints.healthy")}
      </Badge>
    );
  return (
    <Hint text={seconds ? t("endpoints.restingFor", { time: duration(seconds * 1000) }) : t("endpoints.restingTried")}>
      <Badge tone="warn" dot>
        {t("endpoints.resting")}
      </Badge>
    </Hint>
  );
}

/** Of the endpoint as a whole: calls are answered while one of its models does not rest. */
export function EndpointHealth({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const targets = [...endpoint.primaries, ...endpoint.fallbacks];
  const resting = targets.filter((target) => target.health.state === "resting");
  if (resting.length === 0)
    return (
      <Badge tone="good" dot>
        {t("endpoints.healthy")}
      </Badge>
    );
  const all = resting.length === targets.length;
  return (
    <Hint text={t("endpoints.restingModels", { models: resting.map(({ model }) => model).join(", ") })}>
      <Badge tone={all ? "bad" : "warn"} dot>
        {all ? t("endpoints.down") : t("endpoints.partly", { count: resting.length, all: targets.length })}
      </Badge>
    </Hint>
  );
}
