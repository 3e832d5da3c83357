/** What `subbyte explain` does. */

import { explainQuantized } from "../../../compile/explain.ts";
import { quantize } from "../../../compile/passes/quantize.ts";
import { requireFloat, withoutQuantizers } from "../../../compile/passes/without-quantizers.ts";
import { isQuantized, type QuantizedNetwork } from "../../../compile/sites.ts";
import { resolveTrainingConfig } from "../../../config/config.ts";
import { parseDataArgument } from "../../../config/data-folder.ts";
import type { TrainingConfig } from "../../../config/schema/schema.ts";
import type { DatasetSplits } from "../../../data/dataset/dataset.ts";
import { ConfigError } from "../../../errors.ts";
import { importOnnxFile } from "../../../importer/node-files.ts";
import type { Network } from "../../../ir/network.ts";
import { nodeEngine } from "../../../runtime/node/node.ts";
import { loadRun } from "../../../train/load-run.ts";
import { observeNetwork } from "../../../train/loop/observe.ts";
import { loadData, makeNetwork, withCheckpoint } from "../../../train/setup.ts";
import { print, printJson } from "../../output.ts";
import { type ExplainFlags, type ExplainSource, readExplainSource } from "./source.ts";
import { explainText } from "./text.ts";

/** A network to explain, with the data to look at, if any. */
interface Subject {
  readonly network: QuantizedNetwork;
  readonly data?: DatasetSplits;
  /** The source of the ranges, in words. */
  readonly observedOn?: string;
  /** Whether the quantizers hold the parameters that training gave them. */
  readonly trained?: boolean;
  /** Remarks on how CONFIG was read. */
  readonly notes?: readonly string[];
}

/** Explains CONFIG on MODEL. */
export async function explainAction(argument: string, model: string | undefined, flags: ExplainFlags): Promise<void> {
  const source = await readExplainSource(argument, flags);
  const { network, data, observedOn, trained = false, notes = [] } = await subjectOf(source, model, flags);
  const engine = nodeEngine({ threads: flags.threads });
  const observed = data === undefined ? undefined : await observeNetwork(network, data.train, engine, { trained });
  const explanation = explainQuantized(network, source.config, {
    voice: source.voice,
    ...(observed === undefined ? {} : { observed }),
  });
  if (flags.json === true) {
    const { schemaVersion, ...rest } = explanation;
    printJson({ schemaVersion, config: source.title, notes, observedOn: observedOn ?? null, ...rest });
    return;
  }
  const lines = explainText(explanation, {
    title: source.title,
    readingNotes: notes,
    width: process.stdout.columns ?? 120,
    verbose: flags.verbose === true,
    quiet: flags.quiet === true,
    ...(observedOn === undefined ? {} : { observedOn }),
  });
  print(...lines);
}

async function subjectOf(source: ExplainSource, model: string | undefined, flags: ExplainFlags): Promise<Subject> {
  if (source.run !== undefined) {
    if (model !== undefined || flags.from !== undefined) {
      const where = model === undefined ? `--from ${flags.from}` : model;
      throw new ConfigError("a run has its own model and weights", { where, remedy: "Leave it out." });
    }
    const { network, data } = source.run;
    if (!isQuantized(network)) throw new ConfigError("the run has no quantizers", { where: source.title });
    const other = flags.data === undefined ? data : await loadData(withData(source.run.config, flags.data));
    return { network, data: other, observedOn: `64 images of ${other.train.name}, trained weights`, trained: true };
  }
  const training = await trainingFor(source, model, flags);
  if (model?.endsWith(".onnx") === true) return onnxSubject(model, source, flags);
  const data = await loadData(training);
  const fresh = makeNetwork(training, data);
  const from = flags.from ?? training.from;
  const made = quantized(source, from === undefined ? fresh : await withCheckpoint(fresh, from));
  if (from === undefined && flags.data === undefined) return made;
  const weights = from === undefined ? "random initial weights" : `the weights of ${from}`;
  return { ...made, data, observedOn: `64 images of ${data.train.name}, ${weights}` };
}

/** The network with the quantizers of CONFIG. */
function quantized({ config: asked, forNetwork }: ExplainSource, float: Network): Subject {
  const { config, notes } = forNetwork?.(float, asked) ?? { config: asked, notes: [] };
  return { network: quantize(float, config), notes };
}

/** The model and data to take: those of `--from` when it is a run, then of the flags. */
async function trainingFor(
  source: ExplainSource,
  model: string | undefined,
  flags: ExplainFlags,
): Promise<TrainingConfig> {
  const base = flags.from === undefined ? source.training : (await loadRun(flags.from)).config;
  const named = model === undefined || model.endsWith(".onnx") ? base : { ...base, model: modelNamed(model) };
  return flags.data === undefined ? named : withData(named, flags.data);
}

/** A model with the schema's own check of its name. */
function modelNamed(name: string): TrainingConfig["model"] {
  return resolveTrainingConfig(undefined, [{ path: "model.name", value: name, origin: name }]).model;
}

function withData(config: TrainingConfig, argument: string): TrainingConfig {
  return { ...config, data: { ...parseDataArgument(argument), crop: 0, flip: false } };
}

async function onnxSubject(file: string, source: ExplainSource, flags: ExplainFlags): Promise<Subject> {
  if (flags.from !== undefined) {
    throw new ConfigError("an ONNX model has its own weights", {
      where: `--from ${flags.from}`,
      remedy: "Leave it out.",
    });
  }
  const config = flags.data === undefined ? undefined : withModel(withData(source.training, flags.data), file);
  const data = config === undefined ? undefined : await loadData(config);
  const read: Network =
    config === undefined || data === undefined ? importOnnxFile(file, { source: file }) : makeNetwork(config, data);
  const float = flags.stripQuantizers === true ? withoutQuantizers(read) : read;
  requireFloat(float, file);
  const made = quantized(source, float);
  if (data === undefined) return made;
  return { ...made, data, observedOn: `64 images of ${data.train.name}, the weights of ${file}` };
}

function withModel(config: TrainingConfig, file: string): TrainingConfig {
  return { ...config, model: { file, restoreBatchNorm: false }, quantization: null };
}
