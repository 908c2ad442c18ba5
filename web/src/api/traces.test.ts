import { afterEach, describe, expect, it, vi } from "vitest";

import { api, ApiProblem, queryClient } from "./client";
import { newestFirst, newTracesQuery, type TraceRow } from "./traces";

const row = (trace_id: string, received_at: string, more: Partial<TraceRow> = {}) =>
  ({ trace_id, received_at, ...more }) as TraceRow;

it("has each trace once, as it was told last, the newest first", () => {
  const [a, b] = [row("a", "2026-01-01T00:00:01Z"), row("b", "2026-01-01T00:00:02Z")];
  const told = row("a", "2026-01-01T00:00:01Z", { user: "ann" });
  expect(newestFirst([[a], [b, told]])).toEqual([b, told]);
});

describe("what is new", () => {
  const answers = (...bodies: (object | ApiProblem)[]) => {
    const asked: Record<string, unknown>[] = [];
    vi.spyOn(api, "GET").mockImplementation(((_: string, init: { params: { query: Record<string, unknown> } }) => {
      const body = bodies[asked.push(init.params.query) - 1];
      return body instanceof ApiProblem ? Promise.reject(body) : Promise.resolve({ data: body });
    }) as unknown as typeof api.GET);
    return asked;
  };
  const look = (head: string) => queryClient.query(newTracesQuery({ endpoint: ["chat"] }, head, false));
  afterEach(() => {
    vi.restoreAllMocks();
    queryClient.clear();
  });

  it("is asked for since the last look, until there is no more", async () => {
    const asked = answers(
      { traces: [row("a", "1")], head: "h2", more_newer: true },
      { traces: [row("b", "2")], head: "h3", more_newer: false },
      { traces: [row("c", "0")], head: "h4", more_newer: false },
    );
    await look("h1");
    const found = await look("h1");
    expect(asked.map(({ newer_than }) => newer_than)).toEqual(["h1", "h2", "h3"]);
    expect(asked[0]?.endpoint).toEqual(["chat"]);
    expect(found).toEqual({ rows: [row("b", "2"), row("a", "1"), row("c", "0")], head: "h4", gap: false });
  });

  it("is the same rows while none come", async () => {
    answers({ traces: [row("a", "1")], head: "h2", more_newer: false }, { traces: [], head: "h3", more_newer: false });
    const before = await look("h1");
    const after = await look("h1");
    expect(after).toEqual({ ...before, head: "h3" });
    expect(after.rows).toBe(before.rows);
  });

  it("is not kept without end, nor looked for past that", async () => {
    const some = (look: number) => Array.from({ length: 200 }, (_, at) => row(`${look}-${at}`, `${look}`));
    const asked = answers(
      ...Array.from({ length: 12 }, (_, at) => ({ traces: some(at), head: "h", more_newer: false })),
    );
    const gaps: boolean[] = [];
    for (let no = 0; no < 12; no++) gaps.push((await look("h1")).gap);
    expect([gaps.indexOf(true), asked.length]).toEqual([10, 11]);
  });

  it("is too much, or too long ago, for anything but a new list", async () => {
    answers(new ApiProblem(400, "This head is too old"));
    expect(await look("h1")).toEqual({ rows: [], head: "h1", gap: true });
  });
});
