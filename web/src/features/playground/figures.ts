/** What a call came to, over all its attempts. */

import type { Call } from "@/api/playground";
import type { Provenance } from "@/shared/calls/figures";

export type Counts = {
  input: number | null;
  output: number | null;
  cacheRead: number | null;
  cacheWrite: number | null;
  reasoning: number | null;
  audio: number | null;
  image: number | null;
};

/** A count that no attempt has told is not told. */
export function counts({ attempts }: Call): Counts {
  const sum = (...values: (number | null)[]) => {
    const told = values.filter((value) => value !== null);
    return told.length ? told.reduce((all, one) => all + one, 0) : null;
  };
  return {
    input: sum(...attempts.map((one) => one.input_tokens)),
    output: sum(...attempts.map((one) => one.output_tokens)),
    cacheRead: sum(...attempts.map((one) => one.cache_read_tokens)),
    cacheWrite: sum(...attempts.map((one) => one.cache_write_tokens)),
    reasoning: sum(...attempts.map((one) => one.reasoning_tokens)),
    audio: sum(...attempts.flatMap((one) => [one.audio_input_tokens, one.audio_output_tokens])),
    image: sum(...attempts.flatMap((one) => [one.image_input_tokens, one.image_output_tokens])),
  };
}

const LEAST_CERTAIN: readonly Provenance[] = ["estimated", "drained", "reported"];

/** Of several attempts with tokens the least certain. */
export function provenance({ attempts }: Call): Provenance {
  const told = attempts.filter((one) => one.input_tokens !== null || one.output_tokens !== null);
  return LEAST_CERTAIN.find((kind) => told.some((one) => one.provenance === kind)) ?? "unknown";
}
