import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { answer, api, queryClient, type Schemas } from "./client";

export type Experiment = Schemas["Experiment"];
export type Lifecycle = "active" | "deleted" | "all";

/** The newest first, 100 a page. `q`: a part of the name. */
export function experimentsQuery({
  q = "",
  lifecycle = "active",
  pageToken = null,
}: { q?: string; lifecycle?: Lifecycle; pageToken?: string | null } = {}) {
  return queryOptions({
    queryKey: ["experiments", { q, lifecycle, pageToken }],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/experiments", { params: { query: { q, lifecycle, page_token: pageToken } }, signal })),
    placeholderData: keepPreviousData,
  });
}

/** One by its id, deleted or not. */
export function experimentQuery(experimentId: string) {
  return queryOptions({
    queryKey: ["experiments", "one", experimentId],
    queryFn: async ({ signal }) => {
      const query = { experiment_id: experimentId };
      return (await answer(api.GET("/api/2.0/mlflow/experiments/get", { params: { query }, signal }))).experiment;
    },
    staleTime: 60_000,
  });
}

/** Returns its id. */
export async function createExperiment(name: string): Promise<string> {
  const made = await answer(api.POST("/api/2.0/mlflow/experiments/create", { body: { name } }));
  await changed();
  return made.experiment_id;
}

export async function renameExperiment(experimentId: string, name: string): Promise<void> {
  await api.POST("/api/2.0/mlflow/experiments/update", { body: { experiment_id: experimentId, new_name: name } });
  await changed();
}

/** It is hidden, with its traces, until it is restored. */
export async function deleteExperiment(experimentId: string): Promise<void> {
  await api.POST("/api/2.0/mlflow/experiments/delete", { body: { experiment_id: experimentId } });
  await changed();
}

export async function restoreExperiment(experimentId: string): Promise<void> {
  await api.POST("/api/2.0/mlflow/experiments/restore", { body: { experiment_id: experimentId } });
  await changed();
}

async function changed(): Promise<void> {
  await Promise.all(["experiments", "endpoints"].map((noun) => queryClient.invalidateQueries({ queryKey: [noun] })));
}
