/** A way to talk to an endpoint: how a draft is asked, and how what comes is read. */

import type { Answer, Json } from "./answer";
import { anthropicMessages } from "./anthropic-messages";
import type { Column, Draft, Parameters } from "./draft";
import { openaiChat } from "./openai-chat";

/** `body`: what the draft says. `more`: what its column wants to have in it besides. */
export type Request = { path: string; body: Json; more: Json };

export type Dialect = {
  format: "openai.chat" | "anthropic.messages";
  path: string;
  /** The parameters that it has words for. */
  speaks: ReadonlySet<keyof Parameters>;
  /** The draft is sound: see `problem`. `provider`: whose model it is for, by Spangate's name. */
  render: (draft: Draft, column: Column, provider: string) => Json;
  /** The answer after one more event of a stream. */
  fold: (answer: Answer, data: string) => Answer;
  /** An answer that came in one piece. */
  read: (body: unknown) => Answer;
};

const DIALECTS: readonly Dialect[] = [openaiChat, anthropicMessages]; // the first that all its models speak
const USUAL = openaiChat; // its refusal says what is wrong

/** The dialect of an endpoint whose models' providers speak these formats. */
export function dialectFor(formats: readonly (readonly string[])[]): Dialect {
  return DIALECTS.find(({ format }) => formats.every((spoken) => spoken.includes(format))) ?? USUAL;
}
