/**
 * Ablations: the same weights evaluated with some quantizers bypassed. Weights only, activations only, only one layer,
 * all layers except one. One compiled evaluation serves them all: each quantizer has a switch, which is an input.
 */
import { defined } from "../base/defined.ts";
import { copyNode, copyNodes, mapped, type ValueMap } from "../compile/passes/copy.ts";
import { newBuilder } from "../compile/registry.ts";
import { isQuantized, type QuantizedNetwork, type SiteId } from "../compile/sites.ts";
import type { Dataset } from "../data/dataset/dataset.ts";
import type { Value } from "../ir/graph.ts";
import type { Network, Parameter } from "../ir/network.ts";
import { float32Scalar } from "../ir/tensor.ts";
import type { Target } from "../ops/definition.ts";
import { add, multiply, subtract } from "../ops/families/elementwise.ts";
import { isFakeQuantize } from "../quantizers/fake-quantize.ts";
import type { Ablation, AblationResult, LayerAblation } from "../runs/ablation.ts";
import type { Engine } from "../runtime/engine.ts";
import { StateBuffers } from "../runtime/state.ts";
import { BatchNormReestimator } from "../train/loop/batch-norm-statistics.ts";
import { Evaluator } from "../train/loop/evaluate.ts";
import { metricOf } from "../train/loop/metric-text.ts";
import type { TeacherReference } from "../train/teacher/outputs.ts";

/** How an ablation evaluates. */
export interface AblationOptions {
  readonly batchSize?: number;
  readonly target?: Target;
  /** The teacher that supplies the targets where the data has no labels. */
  readonly teacher?: TeacherReference;
  /**
   * Training samples from which the running statistics of batch normalization are estimated again whenever quantizers are
   * switched off: the statistics of the run are those of values that passed all quantizers, and do not fit the network
   * without some of them. Absent: the statistics of the run are kept.
   */
  readonly statistics?: Dataset;
  /** After each evaluation. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Returns the network with a switch at each quantizer: parameter `switch.<site>`, 1 to quantize, 0 to bypass.
 * y·g + x·(1 − g) gives exactly y or x, because both are finite.
 *
 * @param removed Sites that get no switch and do not quantize.
 */
export function withSwitches(network: QuantizedNetwork, removed: ReadonlySet<SiteId> = new Set()): Network {
  const builder = newBuilder(network.graph.name);
  const map: ValueMap = new Map(network.graph.inputs.map((input) => [input, builder.input(input.name, input.type)]));
  const switches = new Map<string, { readonly parameter: Parameter; readonly gate: Value }>();
  copyNodes(network.graph, builder, map, (node, inputs) => {
    const [x] = inputs;
    if (!isFakeQuantize(node) || x === undefined) return undefined;
    if (removed.has(node.name)) return [x];
    const [y] = copyNode(builder, node, inputs);
    if (y === undefined) return undefined;
    const name = switchName(node.name);
    const parameter: Parameter = { name, role: "other", trainable: false, value: float32Scalar(1) };
    // A site at several time steps has one switch.
    const { gate } = switches.get(name) ?? { gate: builder.input(name, { dtype: "float32", shape: [] }) };
    switches.set(name, { parameter, gate });
    return [add(builder, multiply(builder, y, gate), multiply(builder, x, subtract(builder, 1, gate)))];
  });
  for (const output of network.graph.outputs) builder.output(output.name, mapped(map, output.value));
  return {
    name: network.name,
    graph: builder.finish(),
    parameters: [...network.parameters, ...[...switches.values()].map(({ parameter }) => parameter)],
  };
}

/** The name of the switch of a quantizer among the parameters of {@link withSwitches}. */
export function switchName(site: string): string {
  return `switch.${site}`;
}

/** Batches that statistics are estimated from, and samples in each. */
const statisticsBatches = 4;
const statisticsBatch = 64;

/**
 * Runs the ablations of a network on a data set; undefined for a network without quantizers.
 *
 * @example
 * const trained = await train({ network: quantized, recipe: recipeOf(config, data.train), data, engine });
 * const ablation = await ablate(trained.network, data.test, engine);
 * console.log(ablation?.float, ablation?.weightsOnly); // without quantizers, with those of the weights
 */
export async function ablate(
  network: Network,
  dataset: Dataset,
  engine: Engine,
  options: AblationOptions = {},
): Promise<Ablation | undefined> {
  if (!isQuantized(network)) return undefined;
  const { sites } = network;
  const switched = withSwitches(network);
  const state = new StateBuffers(switched.parameters.map(({ name, value }) => [name, value] as const));
  const { batchSize, target, teacher } = options;
  const evaluator = await Evaluator.create(switched, dataset, engine, defined({ batchSize, target, teacher }));
  const { statistics } = options;
  const batch = { batchSize: Math.min(statisticsBatch, statistics?.count ?? 0), seed: 0 };
  const reestimator =
    statistics === undefined
      ? undefined
      : await BatchNormReestimator.create(switched, statistics, engine, {
          ...batch,
          ...defined({ target }),
        });
  const layers = [...new Set(sites.map(({ layer }) => layer))];
  const total = 4 + 2 * layers.length;
  let done = 0;
  const measure = async (isOn: (site: (typeof sites)[number]) => boolean): Promise<AblationResult> => {
    for (const site of sites) state.set(switchName(site.id), float32Scalar(isOn(site) ? 1 : 0));
    if (!sites.every(isOn)) await reestimator?.run(state, 0, statisticsBatches);
    const { accuracy, loss } = await evaluator.run(state);
    options.onProgress?.(++done, total);
    return { accuracy, loss };
  };
  try {
    // First, while the statistics are still those of the run.
    const quantized = await measure(() => true);
    const summary = {
      metric: metricOf(dataset.target, teacher?.outputs),
      samples: dataset.count,
      float: await measure(() => false),
      quantized,
      weightsOnly: await measure(({ kind }) => kind === "weight"),
      activationsOnly: await measure(({ kind }) => kind === "activation"),
    };
    const results: LayerAblation[] = [];
    for (const layer of layers) {
      results.push({
        layer,
        alone: await measure((site) => site.layer === layer),
        without: await measure((site) => site.layer !== layer),
      });
    }
    return { ...summary, layers: results };
  } finally {
    await evaluator.release();
    await reestimator?.release();
  }
}
