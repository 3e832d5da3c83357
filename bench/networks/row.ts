/** What is measured of one network: a line of the results file. */

import { z } from "zod";

const reasons = z.array(z.string());
const compared = z.object({
  program: z.string(),
  samples: z.number(),
  compared: z.number(),
  mismatches: z.number(),
  first: z.string().optional(),
});

/** The file that scripts/export-networks.py writes next to a network. */
export const descriptionSchema = z.object({
  name: z.string(),
  task: z.enum(["classes", "words", "input", "pixels", "columns", "values"]),
  group: z.string(),
  parameters: z.number(),
  bytes: z.number(),
});
/** A network of the folder. */
export type Description = z.infer<typeof descriptionSchema>;

/** The stages in their order, each absent until it is reached. */
const stages = {
  /** Why the file is refused: empty where it is read and all parameters have gradients. */
  imported: reasons.optional(),
  training: z
    .object({
      steps: z.number(),
      batch: z.number(),
      /** Mean loss of the first and of the last quarter of the steps. */
      first: z.number(),
      last: z.number(),
      seconds: z.number(),
    })
    .optional(),
  /** Why no integers are made: every part and its reason. */
  converted: reasons.optional(),
  /** What stays in float behind the integers, by operator. */
  tail: reasons.optional(),
  programs: z.array(compared).optional(),
  /** The C program next to the interpreter, or why there is none. */
  c: z.union([compared, z.string()]).optional(),
  /** Bytes of the parameters. */
  stored: z.object({ float: z.number(), packed: z.number() }).optional(),
  metric: z.string().optional(),
  /** `file`: the weights before the training; `float`: those after it, without quantizers. */
  scores: z
    .object({ file: z.number(), float: z.number(), simulation: z.number(), integers: z.number() })
    .partial()
    .optional(),
  /** Milliseconds of one sample, and why ONNX Runtime's int8 has none. */
  milliseconds: z.object({ float: z.number(), int: z.number(), int8: z.number() }).partial().optional(),
  int8Refused: z.string().optional(),
  /** Bits of weights and activations. */
  bits: z.number().optional(),
  /** Learning rate. */
  rate: z.number().optional(),
  /** Why a process ended early: an error, or a limit. */
  ended: z.string().optional(),
};

/** What a stage of the measurement adds to a row. */
export const partSchema = z.object(stages);
/** A part of a row. */
export type Part = z.infer<typeof partSchema>;

export const rowSchema = descriptionSchema.extend({ ...stages, seconds: z.number() });
/** The measurement of one network. */
export type Row = z.infer<typeof rowSchema>;

/** Reads the rows of a results file; a line that was cut off is measured again. */
export function parseRows(text: string): Row[] {
  const rows = new Map<string, Row>();
  for (const line of text.split("\n")) {
    if (!line.endsWith("}")) continue;
    const row = rowSchema.parse(JSON.parse(line));
    rows.set(row.name, row);
  }
  return [...rows.values()];
}

/** Returns whether a network reached integers, and no program gave another code. */
export function isExact({ converted, programs = [], c, ended }: Row): boolean {
  const all = [...programs, ...(c === undefined || typeof c === "string" ? [] : [c])];
  const isWhole = ended === undefined || programs.length > 1;
  return isWhole && converted?.length === 0 && programs.length > 1 && all.every((one) => one.mismatches === 0);
}
