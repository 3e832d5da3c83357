/** What watch.ts and child.ts tell each other. */

import { z } from "zod";

export const fuzzTaskSchema = z.object({
  /** Input i is number ⌊i / n⌋ of the format i mod n: one process reads all formats in turn. */
  formats: z.array(z.string()).min(1),
  seed: z.number(),
  from: z.number(),
  to: z.number(),
  folder: z.string(),
});
/** Inputs that a child is to read. */
export type FuzzTask = z.output<typeof fuzzTaskSchema>;

export const fuzzResultSchema = z.object({
  format: z.string(),
  /** The number of the input of its format. */
  index: z.number(),
  kind: z.enum(["success", "refused", "defect", "hang", "memory"]),
  /** What the command line would print; empty for a success. */
  text: z.string(),
  milliseconds: z.number(),
  /** Files that were touched outside of the input's folder. */
  outside: z.array(z.string()),
  /** Whether the text holds control characters. */
  control: z.boolean(),
});
/** How the reading of one input ended. */
export type FuzzResult = z.output<typeof fuzzResultSchema>;
