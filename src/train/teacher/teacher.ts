/** The teacher of a distillation: an ONNX file, a run, a checkpoint, or the float network that the training starts from. */
import type { TeacherConfig } from "../../compile/build/distillation.ts";
import { type OutputKind, outputKindOf } from "../../compile/build/outputs.ts";
import { quantize } from "../../compile/passes/quantize.ts";
import { resolveTrainingConfig } from "../../config/config.ts";
import { loadPluginsOf } from "../../config/plugins.ts";
import { quantizationOf } from "../../config/quantization.ts";
import type { TrainingConfig } from "../../config/schema/schema.ts";
import type { DatasetSplits, LabelType } from "../../data/dataset/dataset.ts";
import { ConfigError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";
import { checkPlugins } from "../../plugins/changes.ts";
import { pluginRecords } from "../../plugins/plugin-files.ts";
import { withStateOf } from "../checkpoint-values.ts";
import { checkpointAt, importedNetwork, makeNetwork, outputsOfCheckpoint } from "../network.ts";

/** The temperature where the configuration says nothing of distillation and the data has no labels. */
const defaultTemperature = 4;

/**
 * The teacher that a configuration asks for; undefined where the labels are all that is learned from.
 *
 * @throws ConfigError when one is needed and none is named.
 */
export async function teacherOf(config: TrainingConfig, data: DatasetSplits): Promise<TeacherConfig | undefined> {
  const { distillation } = config.train;
  const { kind } = data.train.target;
  if (distillation === undefined && kind !== "none") return undefined;
  if (kind === "none" && distillation !== undefined) checkAlways(distillation);
  const teacher = await teacherNetwork(config, data);
  const temperature = distillation?.temperature ?? defaultTemperature;
  const labelled = labelledOutputs(kind);
  return { teacher, temperature, outputs: labelled ?? distillation?.outputs ?? outputKindOf(teacher) };
}

/** What a network gives that learns such targets; undefined where there are none. */
function labelledOutputs(kind: LabelType["kind"]): OutputKind | undefined {
  if (kind === "none") return undefined;
  return kind === "classes" || kind === "dense" ? "classes" : "values";
}

/** Without labels there is nothing to learn from in the epochs that a range leaves out. */
function checkAlways({ fromEpoch, untilEpoch }: NonNullable<TrainingConfig["train"]["distillation"]>): void {
  if (fromEpoch === 0 && untilEpoch === undefined) return;
  throw new ConfigError("the data has no labels, so the teacher is needed in every epoch", {
    where: fromEpoch === 0 ? "train.distillation.untilEpoch" : "train.distillation.fromEpoch",
    remedy: "Leave it out, or give data with labels.",
  });
}

async function teacherNetwork(config: TrainingConfig, data: DatasetSplits): Promise<Network> {
  const path = config.train.distillation?.teacher ?? config.from;
  if (path?.endsWith(".onnx") === true) return importedNetwork(path, data);
  if (path !== undefined) return networkOfRun(path, data);
  if ("file" in config.model) return makeNetwork(config, data);
  const hasLabels = data.train.target.kind !== "none";
  throw new ConfigError(
    hasLabels ? "distillation needs a teacher" : "the data has no labels, so a teacher is needed to learn from",
    {
      where: hasLabels ? "train.distillation" : `data set "${data.train.name}"`,
      remedy: "Name one with --teacher (an ONNX file, a run or a checkpoint), or start from a float run with --from.",
    },
  );
}

/** The network of a run or a checkpoint, which carries its own configuration. */
export async function networkOfRun(path: string, data: DatasetSplits): Promise<Network> {
  const checkpoint = await checkpointAt(path);
  const { config: text, state, file } = checkpoint;
  const source = { name: file, text, isKept: true } as const;
  await loadPluginsOf(source);
  const config = resolveTrainingConfig(source);
  checkPlugins(checkpoint.plugins ?? [], pluginRecords(config.plugins), path);
  const unlabelled = data.train.target.kind === "none" && "name" in config.model;
  const outputs = unlabelled ? outputsOfCheckpoint(makeNetwork(config, data, 1), checkpoint) : undefined;
  const float = makeNetwork(config, data, outputs);
  const network = config.quantization === null ? float : quantize(float, quantizationOf(config.quantization));
  return { ...network, ...withStateOf(network, state, file) };
}

/** Columns of a teacher's output: how many outputs its student has. */
export function outputCountOfTeacher({ teacher }: TeacherConfig): number {
  return teacher.graph.outputs[0]?.value.type.shape.at(-1) ?? 1;
}
