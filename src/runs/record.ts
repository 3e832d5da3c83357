/** The record of a run from its files: the results of its epochs, its final numbers, its findings and its ablations. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { InputOutputError } from "../errors.ts";
import { describeSystemError, systemErrorCode } from "../io/system-error.ts";
import { type Ablation, ablationFileSchema } from "./ablation.ts";
import { type Finding, findingsFileSchema } from "./finding.ts";
import type { RunPaths } from "./folder.ts";
import { readMetrics } from "./metrics-log.ts";
import { checkSums, isAblationSound } from "./sums.ts";

/** The end of an epoch. */
export interface EpochPoint {
  readonly epoch: number;
  readonly trainLoss: number;
  /** null where the training has no classes. */
  readonly trainAccuracy: number | null;
  readonly testLoss: number;
  readonly testAccuracy: number;
}

/** summary.json as far as other files of subbyte read it; a run writes more into it. */
const summarySchema = z.object({
  accuracy: z.number(),
  bestAccuracy: z.number(),
  loss: z.number().nullable(),
  seconds: z.number(),
  imagesPerSecond: z.number(),
});
/** The final numbers of a run. `seconds` and `imagesPerSecond` depend on the machine. */
export type FinalNumbers = z.output<typeof summarySchema>;

/** The record of one run. */
export interface RunRecord {
  /** undefined until the run has ended. */
  readonly summary: FinalNumbers | undefined;
  readonly epochs: readonly EpochPoint[];
  readonly findings: readonly Finding[];
  /** The accuracy with parts of the quantizers switched off; null where that was not measured. */
  readonly ablation: Ablation | null;
}

const ablationOfFile = ablationFileSchema.transform(({ schemaVersion: _version, step: _step, ...rest }) => rest);

/**
 * Reads the record of a run, finished or not. Ablations that are missing or damaged count as not there, and so do the summary
 * and the findings of a run without checksums.
 *
 * @throws InputOutputError or FileFormatError when metrics.jsonl cannot be read, DamagedFileError for a file of an ended run
 *   that is not what it wrote.
 */
export async function readRunRecord(paths: RunPaths): Promise<RunRecord> {
  await checkSums(paths);
  const [summary, findings, ablation, epochs] = await Promise.all([
    readJson(paths.summary, summarySchema),
    readJson(paths.findings, findingsFileSchema),
    readJson(paths.ablation, ablationOfFile),
    readEpochs(paths.metrics),
  ]);
  return {
    summary,
    epochs: epochs.filter(hasFiniteNumbers),
    findings: findings?.findings ?? [],
    ablation: ablation !== undefined && (await isAblationSound(paths)) ? ablation : null,
  };
}

/** Reads a JSON file that fits a schema; undefined when it is missing or does not. */
export async function readJson<Output>(file: string, schema: z.ZodType<Output>): Promise<Output | undefined> {
  try {
    const result = schema.safeParse(JSON.parse(await readFile(file, "utf8")));
    return result.success ? result.data : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || systemErrorCode(error) === "ENOENT") return undefined;
    const { reason } = describeSystemError(error);
    throw new InputOutputError(`the file cannot be read: ${reason}`, { where: file, cause: error });
  }
}

/** A number of the log, which writes those that JSON has not as text: `"NaN"`, `"Infinity"`. */
const loggedNumber = z.union([z.number(), z.string().transform(Number)]);

const epochSchema = z.object({
  epoch: z.number(),
  trainLoss: loggedNumber,
  trainAccuracy: z.number().nullable().default(null),
  testLoss: loggedNumber,
  testAccuracy: loggedNumber,
});

/**
 * Reads the ends of epochs from a run's log, the last word on each epoch, in the order of the log. Losses of a diverged run
 * are NaN or infinite.
 */
export async function readEpochs(metricsFile: string): Promise<EpochPoint[]> {
  const epochs = new Map<number, EpochPoint>();
  for (const record of await readMetrics(metricsFile)) {
    const point = epochSchema.safeParse(record);
    if (point.success) epochs.set(point.data.epoch, point.data);
  }
  return [...epochs.values()];
}

/** Whether JSON can hold the numbers: a record of a study is a JSON file. */
export function hasFiniteNumbers({ trainLoss, testLoss, testAccuracy }: EpochPoint): boolean {
  return [trainLoss, testLoss, testAccuracy].every(Number.isFinite);
}
