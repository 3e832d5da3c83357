/** How a training differs from the run that it starts from, or that teaches it: what would change the meaning of its weights. */
import { isQuantized } from "../../compile/sites.ts";
import { resolveTrainingConfig } from "../../config/config.ts";
import type { TrainingConfig } from "../../config/schema/schema.ts";
import type { DatasetSplits } from "../../data/dataset/dataset.ts";
import { shortList } from "../../data/images/list-folder.ts";
import { ConfigError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";
import type { Checkpoint } from "../../runs/checkpoint.ts";
import type { RunInputs } from "../../runs/run-inputs.ts";
import { checkpointAt, makeNetwork } from "../network.ts";

/** Normalizations of the same samples may differ in their last digits, where another version measured them. */
const sameNormalization = 1e-6;

/**
 * Returns notes on the run or checkpoint that a training starts from, and on a run that teaches it: other classes, another
 * normalization or size of the samples, quantizers that are left out.
 *
 * @throws ConfigError for a teacher that has the same classes in another order.
 */
export async function notesOnOrigins(config: TrainingConfig, data: DatasetSplits): Promise<string[]> {
  const { from } = config;
  const { distillation } = config.train;
  const notes: string[] = [];
  if (from !== undefined) {
    const checkpoint = await checkpointAt(from);
    const quantization = configOf(checkpoint, from).quantization;
    if (quantization !== null && config.quantization === null) {
      notes.push(
        `${from} was trained with ${quantization.preset}, this training is in float: its quantizers are left out (--preset puts quantizers in)`,
      );
    }
    if (
      quantization?.overrides !== undefined &&
      config.quantization !== null &&
      config.quantization.overrides === undefined
    ) {
      notes.push(
        `${from} was trained with overrides of single layers (quantization.overrides), which this training leaves out`,
      );
    }
    notes.push(...differences(from, checkpoint.inputs, data));
  }
  const teacher = distillation?.teacher ?? (distillation === undefined ? undefined : from);
  if (teacher === undefined || teacher.endsWith(".onnx")) return notes;
  const taught = await checkpointAt(teacher);
  const { inputs } = taught;
  const quantization = configOf(taught, teacher).quantization;
  if (quantization !== null)
    notes.push(`the teacher ${teacher} has quantizers (${quantization.preset}): it is no float network`);
  checkTeacher(teacher, inputs, data);
  return teacher === from ? notes : [...notes, ...differences(teacher, inputs, data)];
}

/** In which way samples and classes are other ones than those that a run was trained on; nothing for runs of earlier versions. */
function differences(path: string, inputs: RunInputs | undefined, { train }: DatasetSplits): string[] {
  if (inputs === undefined) return [];
  const notes: string[] = [];
  const { target, sampleShape, normalization } = train;
  if (target.kind === "classes" && inputs.classes !== undefined && !isSame(inputs.classes, target.classes)) {
    notes.push(
      `the outputs of ${path} are ${shortList(inputs.classes)}, here they are ${shortList(target.classes)}: what it has learned of a class goes to another output`,
    );
  }
  if (train.columns !== undefined && inputs.columns !== undefined && !isSame(inputs.columns, train.columns)) {
    notes.push(`the columns of ${path} are ${shortList(inputs.columns)}, here they are ${shortList(train.columns)}`);
  }
  if (!isSame(inputs.sampleShape.map(String), sampleShape.map(String))) {
    notes.push(`${path} was trained on samples of [${inputs.sampleShape}], here they are [${sampleShape}]`);
  } else if (
    isFar(inputs.mean, normalization.mean, inputs.std) ||
    isFar(inputs.std, normalization.std, inputs.std) ||
    inputs.sampleType !== train.sampleType
  ) {
    const show = (values: readonly number[]) => shortList(values.map((value) => `${Number(value.toPrecision(4))}`));
    const text = (mean: readonly number[], std: readonly number[], type: string) =>
      `mean ${show(mean)}, std ${show(std)} of ${type}`;
    notes.push(
      `${path} was trained with the normalization ${text(inputs.mean, inputs.std, inputs.sampleType)}, here it is ` +
        text(normalization.mean, normalization.std, train.sampleType),
    );
  }
  return notes;
}

function checkTeacher(path: string, inputs: RunInputs | undefined, { train }: DatasetSplits): void {
  const { target } = train;
  if (inputs?.classes === undefined || target.kind !== "classes") return;
  const { classes } = inputs;
  if (isSame(classes, target.classes) || !classes.every((name) => target.classes.includes(name))) return;
  throw new ConfigError(
    `the teacher's outputs are ${shortList(classes)}, the labels ${shortList(target.classes)}: the same classes in another order`,
    { where: path, remedy: `Give the teacher's order: data.classes: [${classes.join(", ")}].` },
  );
}

/**
 * Checks that a network has a place for each float parameter of a checkpoint: without some of them, the others would
 * compute something else.
 *
 * @throws ConfigError naming a parameter without a place.
 */
export function checkNoneLeft(network: Network, checkpoint: Checkpoint, path: string, data: DatasetSplits): void {
  const config = configOf(checkpoint, path);
  const own = new Set(network.parameters.map(({ name }) => name));
  const left = floatParameters(config, data).filter((name) => checkpoint.state.has(name) && !own.has(name));
  const [first] = left;
  if (first === undefined) return;
  throw new ConfigError(
    `the checkpoint has ${first}${left.length > 1 ? ` and ${left.length - 1} more` : ""}, which the network lacks`,
    {
      where: path,
      remedy:
        "Start from a checkpoint of the same model, width and stem. A checkpoint that was trained with BatchNorm put back needs it: " +
        "leave --no-restore-batch-norm out.",
    },
  );
}

/** Names of the parameters of a run's network without its quantizers; none where its model cannot be made any more. */
function floatParameters(config: TrainingConfig, data: DatasetSplits): string[] {
  try {
    const network = makeNetwork({ ...config, quantization: null }, data, 1);
    // Those of a file with quantizers belong to them in part.
    return isQuantized(network) ? [] : network.parameters.map(({ name }) => name);
  } catch {
    // Its file is gone or does not fit this data, which is said elsewhere.
    return [];
  }
}

function configOf({ config }: Checkpoint, path: string): TrainingConfig {
  return resolveTrainingConfig({ name: path, text: config, isKept: true });
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

function isFar(a: readonly number[], b: readonly number[], scale: readonly number[]): boolean {
  return a.some((value, i) => Math.abs(value - (b[i] ?? 0)) > sameNormalization * (scale[i] ?? 1));
}
