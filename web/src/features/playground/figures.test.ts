import { expect, it } from "vitest";

import type { Call } from "@/api/playground";

import { counts, provenance } from "./figures";

type Attempt = Call["attempts"][number];
const attempt = (told: Partial<Attempt>): Attempt =>
  ({
    input_tokens: null,
    output_tokens: null,
    cache_read_tokens: null,
    cache_write_tokens: null,
    reasoning_tokens: null,
    audio_input_tokens: null,
    audio_output_tokens: null,
    image_input_tokens: null,
    image_output_tokens: null,
    provenance: "unknown",
    ...told,
  }) as Attempt;
const call = (...attempts: Attempt[]) => ({ attempts }) as Call;

it("adds up the attempts of a call; what none told is not zero", () => {
  const tried = call(
    attempt({ input_tokens: 10, output_tokens: 0, cache_read_tokens: 4, provenance: "estimated" }),
    attempt({
      input_tokens: 12,
      output_tokens: 7,
      audio_input_tokens: 1,
      audio_output_tokens: 2,
      provenance: "reported",
    }),
  );
  expect(counts(tried)).toEqual({
    input: 22,
    output: 7,
    cacheRead: 4,
    cacheWrite: null,
    reasoning: null,
    audio: 3,
    image: null,
  });
  expect(provenance(tried)).toBe("estimated");
});

it("is as certain as what was counted: an attempt without tokens says nothing", () => {
  expect(provenance(call(attempt({}), attempt({ input_tokens: 1, provenance: "drained" })))).toBe("drained");
  expect(provenance(call(attempt({})))).toBe("unknown");
});
