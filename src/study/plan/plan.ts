/** The trials of a study: every planned of the grid for every recipe and seed, with what it costs, or why it cannot be. */

import { readFile } from "node:fs/promises";
import { z } from "zod";
import { quantize } from "../../compile/passes/quantize.ts";
import { requireFloat } from "../../compile/passes/without-quantizers.ts";
import { quantizationOf } from "../../config/quantization.ts";
import { classesOf } from "../../data/dataset/dataset.ts";
import { FileFormatError, SubbyteError } from "../../errors.ts";
import { writeFileAtomic } from "../../io/atomic-file.ts";
import type { Network } from "../../ir/network.ts";
import { defaultPreset } from "../../qconfig/presets.ts";
import { configHash } from "../../runs/checkpoint.ts";
import { networkCost } from "../../runs/cost.ts";
import { requireGradients } from "../../train/fit/untrained-parts.ts";
import { levelsOf } from "../../train/run.ts";
import { loadData, makeNetwork } from "../../train/setup.ts";
import { type Fix, readFixes } from "../repair/fix/fix.ts";
import { cellConfig, gridCells, studyCells, trialId } from "./cells.ts";
import { floatConfig, type GridCell, studyToYaml, trialConfig } from "./config.ts";
import type { StudyPaths } from "./folder.ts";
import type { PlannedTrial } from "./record.ts";
import type { StudyConfig } from "./schema.ts";

const count = z.number().nullable();
const operand = z.object({ bits: z.number(), levels: count });
const layer = z.object({
  name: z.string(),
  operator: z.string(),
  macs: z.number(),
  weights: z.number(),
  weight: operand,
  activation: operand,
  bitOperations: z.number(),
  bytes: z.number(),
});
const trial = z.object({
  id: z.string(),
  recipe: z.string(),
  weightBits: z.number(),
  activationBits: z.number(),
  seed: z.number(),
  levels: z.object({ weights: count, activations: count }),
  cost: z.object({ bitOperations: z.number(), bytes: z.number() }).nullable(),
  layers: z.array(layer),
  impossible: z.string().nullable(),
});
const planSchema = z.object({
  schemaVersion: z.literal(1),
  /** Of the configuration that the plan was made from. */
  configHash: z.string(),
  /** Training images, and classes: an accuracy of 1/classes is chance. */
  samples: z.number(),
  classes: z.number(),
  float: z.object({ bitOperations: z.number(), bytes: z.number(), macs: z.number() }),
  trials: z.array(trial),
});

/** The contents of plan.json. */
export interface StudyPlan extends Omit<z.output<typeof planSchema>, "trials"> {
  readonly trials: readonly PlannedTrial[];
}

/** Plans a study and the maps of what was fixed. Loads its data; trains nothing. */
export async function makePlan(config: StudyConfig, fixes: readonly Fix[] = []): Promise<StudyPlan> {
  const cells = studyCells(config, fixes);
  const example = floatConfig(config) ?? exampleConfig(config, cells[0]);
  const data = await loadData(example);
  const network = makeNetwork(example, data);
  requireFloat(network, network.name);
  requireGradients(network, example);
  const { bitOperations, bytes, macs } = networkCost(network);
  const known = new Map<string, Omit<PlannedTrial, "id" | "seed">>();
  const trials = cells.map((cell) => {
    // Seeds change no cost: each planned is quantized once.
    const key = trialId({ ...cell, seed: 0 });
    const planned = known.get(key) ?? planCell(config, cell, network);
    known.set(key, planned);
    return { id: trialId(cell), seed: cell.seed, ...planned };
  });
  // Parsed as if it were read back, so that the first start and a later one see the same, to the order of keys.
  return planSchema.parse({
    schemaVersion: 1,
    configHash: planHash(config, fixes),
    samples: data.train.count,
    classes: classesOf(data.train).length,
    float: { bitOperations, bytes, macs },
    trials,
  });
}

/** Returns the configuration of a trial at 8 bits, which stands for the data and the network of all. */
export function exampleConfig(config: StudyConfig, cell: GridCell | undefined = gridCells(config)[0]) {
  const recipe = cell?.recipe ?? { name: defaultPreset, preset: defaultPreset };
  return trialConfig(config, { recipe, weightBits: 8, activationBits: 8, seed: 0 });
}

function planCell(config: StudyConfig, cell: GridCell, network: Network): Omit<PlannedTrial, "id" | "seed"> {
  const { weightBits, activationBits } = cell;
  const names = { recipe: cell.recipe.name, weightBits, activationBits };
  try {
    const training = cellConfig(config, cell);
    const quantized =
      training.quantization === null ? network : quantize(network, quantizationOf(training.quantization));
    const { bitOperations, bytes, layers } = networkCost(quantized);
    return { ...names, levels: levelsOf(training), cost: { bitOperations, bytes }, layers, impossible: null };
  } catch (error) {
    // Only what subbyte says on purpose belongs to the planned; anything else is a defect and ends the study.
    if (!(error instanceof SubbyteError)) throw error;
    const levels = { weights: null, activations: null };
    return { ...names, levels, cost: null, layers: [], impossible: error.describe() };
  }
}

/** The plan that a study's folder holds; undefined when there is none or the configuration was changed since. */
export async function readPlan(
  paths: StudyPaths,
  config: StudyConfig,
  fixes: readonly Fix[],
): Promise<StudyPlan | undefined> {
  const text = await readFile(paths.plan, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new FileFormatError("it is not JSON", {
      where: paths.plan,
      remedy: "Remove it: it is created again.",
      cause,
    });
  }
  const plan = planSchema.safeParse(content);
  return plan.success && plan.data.configHash === planHash(config, fixes) ? plan.data : undefined;
}

function planHash(config: StudyConfig, fixes: readonly Fix[]): string {
  return configHash(`${studyToYaml(config)}${JSON.stringify(fixes)}`);
}

/** The plan of a study's folder, made again where it is not there or out of date. */
export async function planOf(paths: StudyPaths, config: StudyConfig): Promise<StudyPlan> {
  const fixes = await readFixes(paths.fixes);
  const before = await readPlan(paths, config, fixes);
  if (before !== undefined) return before;
  const plan = await makePlan(config, fixes);
  await writeFileAtomic(paths.plan, `${JSON.stringify(plan, undefined, 1)}\n`);
  return plan;
}
