/** The accuracy of a float network before anything is trained: of a model's file as it is, or of the run that a training starts from. */
import { basename } from "node:path";
import { isQuantized } from "../compile/sites.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import type { DatasetSplits } from "../data/dataset/dataset.ts";
import type { Target } from "../ops/definition.ts";
import type { Engine } from "../runtime/engine.ts";
import { evaluateWithOrder } from "./fit/class-order.ts";
import { checkFit } from "./fit/network-fit.ts";
import type { EvaluationResult } from "./loop/evaluate.ts";
import { importedNetwork } from "./network.ts";
import { networkOfRun } from "./teacher/teacher.ts";

/** A network that a training starts from, and its results on the test part. */
export interface StartAccuracy {
  /** `mine.onnx`, or the run or checkpoint that `from` names. */
  readonly name: string;
  /** Whether it has no quantizers. */
  readonly isFloat: boolean;
  readonly result: EvaluationResult;
  /** Whether the classes seem to be in another order than its outputs, in a sentence. */
  readonly notes: readonly string[];
}

/**
 * Returns what the weights that a training starts from reach on the test part: those of `from`, else those of the model's file.
 *
 * @returns undefined where there is nothing to measure: random weights, or data without labels.
 * @throws ConfigError or UnsupportedError for a network that does not fit the data, as a training does.
 *
 * @example
 * const start = await startAccuracy(config, data, engine);
 * console.log(start?.result.accuracy); // undefined: the weights of this configuration are random
 */
export async function startAccuracy(
  config: TrainingConfig,
  data: DatasetSplits,
  engine: Engine,
  target?: Target,
): Promise<StartAccuracy | undefined> {
  const { model, from } = config;
  const file = "file" in model ? model.file : undefined;
  const name = from ?? (file === undefined ? undefined : basename(file));
  if (name === undefined || data.test.target.kind === "none") return undefined;
  const network = from === undefined ? importedNetwork(file ?? name, data) : await networkOfRun(from, data);
  checkFit(network, { where: from ?? file ?? name, target: data.test.target });
  const options = target === undefined ? {} : { target };
  const { result, notes } = await evaluateWithOrder(network, data.test, engine, options);
  return { name, isFloat: !isQuantized(network), result, notes };
}
