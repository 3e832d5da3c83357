/** Evaluation as one graph: data and state in, the network's outputs out. Also the pass that samples activations. */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { type Network, type ParameterId, withParameterValues } from "../../ir/network.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { initialParameters } from "../../observers/calibrators.ts";
import { indices } from "../../ops/build/operands.ts";
import { multiply, subtract } from "../../ops/families/elementwise.ts";
import { reduceMean } from "../../ops/families/reduce.ts";
import { concat, reshape } from "../../ops/families/shape/shape-ops.ts";
import { bindBatch } from "../passes/bind-batch.ts";
import { newBuilder } from "../registry.ts";
import type { QuantizedNetwork } from "../sites.ts";
import { addForward, evaluationMode, type ForwardMode, type ForwardResult } from "./forward.ts";
import { addDataInputs, type ImageInput } from "./input.ts";
import { nextName, type TrainingStep } from "./training-step.ts";

/** A compiled evaluation: its graph, state and data input. */
export type EvaluationJob = Pick<TrainingStep, "graph" | "state" | "dataInput">;

/** The settings that an evaluation is compiled for. */
export interface EvaluationConfig {
  readonly batchSize: number;
  readonly input: ImageInput;
  readonly mode?: ForwardMode;
}

/**
 * The network's outputs for a batch, under their own names.
 *
 * @example
 * const evaluation = buildEvaluation(network, { batchSize: 32, input: { dtype: "uint8", mean: [0.5], deviation: [0.25] } });
 * console.log(evaluation.dataInput.type.shape); // [32, 1, 28, 28]
 */
export function buildEvaluation(network: Network, config: EvaluationConfig): EvaluationJob {
  return buildForwardJob(network, config, (forward) => forward.outputs);
}

/** The values that reach each quantizer, in float: output `<site>` holds the input of that site's FakeQuantize. */
export function buildActivationSample(network: QuantizedNetwork, config: EvaluationConfig): EvaluationJob {
  return buildForwardJob(network, { mode: { ...evaluationMode, fakeQuantize: false }, ...config }, (forward, builder) =>
    joinedInputs(builder, forward.allQuantizerInputs),
  );
}

/** The values that reach some quantizers, these being passed by and all the others quantizing. */
export function buildSiteSample(
  network: QuantizedNetwork,
  config: EvaluationConfig,
  sites: readonly string[],
): EvaluationJob {
  const wanted = new Set(sites);
  return buildForwardJob(
    network,
    { mode: { ...evaluationMode, bypass: sites }, ...config },
    ({ allQuantizerInputs }, builder) =>
      joinedInputs(builder, new Map([...allQuantizerInputs].filter(([site]) => wanted.has(site)))),
  );
}

/** What reaches each quantizer: of one at several time steps all of it, one after another along the batch. */
function joinedInputs(
  builder: GraphBuilder,
  inputs: ReadonlyMap<string, readonly Value[]>,
): ReadonlyMap<string, Value> {
  return new Map(
    [...inputs].flatMap(([site, values]) => {
      const [first] = values;
      return first === undefined ? [] : [[site, values.length === 1 ? first : concat(builder, values, 0)] as const];
    }),
  );
}

/** Batch statistics of every BatchNormalization: output `next.<running parameter>` holds that of this batch alone. */
export function buildBatchNormStatistics(network: Network, config: EvaluationConfig): EvaluationJob {
  const mode: ForwardMode = { observe: false, fakeQuantize: true, batchNorm: "batch", batchNormMomentum: 0 };
  return buildForwardJob(
    network,
    { mode, ...config },
    ({ updates }) => new Map([...updates].map(([name, value]) => [nextName(name), value] as const)),
  );
}

/**
 * Mean and variance, over this batch, of what reaches BatchNormalizations, everything else as in evaluation: outputs
 * `next.<running parameter>`.
 *
 * @param scales The parameters that scale their outputs, which tell them from others.
 */
export function buildChannelStatistics(
  network: Network,
  config: EvaluationConfig,
  scales: ReadonlySet<ParameterId>,
): EvaluationJob {
  return buildForwardJob(network, config, ({ values }, builder, { graph }) => {
    const statistics = new Map<string, Value>();
    for (const { inputs } of graph.nodes) {
      const [x, scale, , mean, variance] = inputs;
      if (scale === undefined || !scales.has(scale.name) || mean === undefined || variance === undefined) continue;
      const input = x === undefined ? undefined : values.get(x);
      if (input === undefined) continue;
      const axes = indices(input.type.shape.length).filter((axis) => axis !== 1);
      const centre = reduceMean(builder, input, axes, { keepDimensions: true });
      const difference = subtract(builder, input, centre);
      const square = reduceMean(builder, multiply(builder, difference, difference), axes, { keepDimensions: false });
      statistics.set(nextName(mean.name), reshape(builder, centre, [...mean.type.shape]));
      statistics.set(nextName(variance.name), square);
    }
    return statistics;
  });
}

/** Selects the values of a forward pass that a job returns, or adds some to it. */
type Selection = (forward: ForwardResult, builder: GraphBuilder, network: Network) => ReadonlyMap<string, Value>;

function buildForwardJob(source: Network, config: EvaluationConfig, select: Selection): EvaluationJob {
  const network = bindBatch(source, config.batchSize);
  const builder = newBuilder(`${network.name} forward`);
  const { values, input } = addDataInputs(builder, network, config.input);
  const inputs = new Map<string, Value>(values);
  for (const parameter of network.parameters) {
    const { dtype, shape } = parameter.value;
    inputs.set(parameter.name, builder.input(parameter.name, { dtype, shape }));
  }
  const forward = addForward(builder, network, inputs, config.mode ?? evaluationMode);
  for (const [name, output] of select(forward, builder, network)) builder.output(name, output);
  const state = network.parameters.map((parameter) => ({ name: parameter.name, initial: parameter.value }));
  return { graph: builder.finish(), state, dataInput: input };
}

/**
 * The network with the initial parameters of its activation quantizers, from a sample of what reaches them. Sites that
 * an observer drives are left as they are: the first training batch sets them.
 *
 * @param samples For each site, a tensor as {@link buildActivationSample} gives it.
 */
export function initializeActivations(
  network: QuantizedNetwork,
  samples: ReadonlyMap<string, Tensor>,
): QuantizedNetwork {
  const values = new Map(network.parameters.map((parameter) => [parameter.name, parameter.value]));
  for (const { id, kind, spec, parameters } of network.sites) {
    const sample = samples.get(id);
    if (kind !== "activation" || spec.observer !== undefined || sample === undefined) continue;
    if (elementCount(sample.shape) === 0) continue;
    const initial = initialParameters(spec, sample);
    for (const [parameter, name] of Object.entries(parameters)) {
      const tensor = initial.get(parameter);
      if (tensor !== undefined) values.set(name, tensor);
    }
  }
  return { ...network, ...withParameterValues(network, values), sites: network.sites };
}
