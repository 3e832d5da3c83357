/**
 * The training step as one graph: forward, loss, backward, optimizer, running statistics and metrics. State comes in
 * as inputs and goes out as outputs `next.<name>`; nothing else crosses but the batch, a few scalars, the loss and the
 * network's outputs.
 */
import { GraphError } from "../../errors.ts";
import type { Graph, GraphBuilder, Value } from "../../ir/graph.ts";
import { layersOfParameters, type Network, type Parameter, type ParameterRole } from "../../ir/network.ts";
import { originOf } from "../../ir/origin.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { add, maximum, multiply } from "../../ops/families/elementwise.ts";
import { gridValuesOf } from "../../quantizers/fake-quantize.ts";
import { bindBatch } from "../passes/bind-batch.ts";
import { differentiate } from "../passes/differentiate.ts";
import { newBuilder, operators } from "../registry.ts";
import { isQuantized, type QuantizerSite } from "../sites.ts";
import type { DistillationConfig } from "./distillation.ts";
import { addForward, type ForwardMode } from "./forward.ts";
import { clippingFactor } from "./gradient-clip.ts";
import { addDataInputs, type ImageInput } from "./input.ts";
import { addLoss, type LossConfig } from "./loss.ts";
import { type OptimizerConfig, optimizerFor } from "./optimizer.ts";
import {
  dampeningGradient,
  dampeningInput,
  freezeOscillating,
  type OscillationConfig,
  oscillationState,
  type QuantizedWeight,
  thresholdInput,
} from "./oscillation.ts";

/** Parameters that share a learning rate. */
export type ParameterGroup = "weights" | "normalization" | "quantizers";

/** The groups of parameters that optimizers treat differently. */
export const parameterGroups: readonly ParameterGroup[] = ["weights", "normalization", "quantizers"];

/** The settings that a training step is compiled for. */
export interface TrainingStepConfig {
  readonly batchSize: number;
  readonly input: ImageInput;
  readonly loss: LossConfig;
  readonly optimizer: OptimizerConfig;
  readonly weightDecay: Readonly<Record<ParameterGroup, number>>;
  readonly mode: ForwardMode;
  /** The largest 2-norm of all gradients together; absent: no limit. */
  readonly gradientClip?: number;
  /** Absent: the task's loss alone. */
  readonly distillation?: DistillationConfig;
  /** Absent: weights may oscillate. Needs a quantized network. */
  readonly oscillation?: OscillationConfig;
}

/** A state tensor of a job and its initial value. */
export interface StateTensor {
  readonly name: string;
  readonly initial: Tensor;
}

/** A job for the engine: its graph, and what is fed to it and kept between runs. */
export interface TrainingStep {
  readonly graph: Graph;
  readonly state: readonly StateTensor[];
  /** Names of the scalar inputs, besides the batch: learning rates and the optimizer's own. */
  readonly scalars: readonly string[];
  readonly dataInput: Value;
  /** Undefined where the loss takes nothing but the data. */
  readonly targetInput: Value | undefined;
}

/**
 * The input that holds a group's learning rate.
 *
 * @example
 * console.log(learningRateInput("weights")); // learning_rate.weights
 */
export function learningRateInput(group: ParameterGroup): string {
  return `learning_rate.${group}`;
}

/** The group that a parameter belongs to. */
export function groupOf(role: ParameterRole): ParameterGroup {
  if (role === "quantizer") return "quantizers";
  return role === "normalization-scale" || role === "normalization-bias" ? "normalization" : "weights";
}

/** The name under which the optimizer's state of a parameter is kept. */
export function optimizerStateName(parameter: string, state: string): string {
  return `optimizer.${parameter}.${state}`;
}

/**
 * @throws GraphError when nothing is trainable, or the network has other inputs than the data, or not exactly one output.
 *
 * @example
 * const step = buildTrainingStep(quantized, {
 *   batchSize: 32,
 *   input: { dtype: "uint8", mean: [0.5], deviation: [0.25] },
 *   loss: { name: "crossEntropy", labelSmoothing: 0 },
 *   optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
 *   weightDecay: { weights: 1e-4, normalization: 0, quantizers: 0 },
 *   mode: trainingMode,
 * });
 * console.log(step.scalars); // the learning rates of the three groups
 */
export function buildTrainingStep(source: Network, config: TrainingStepConfig): TrainingStep {
  const network = bindBatch(source, config.batchSize);
  const builder = newBuilder(`${network.name} training step`);
  const { values: data, input: dataInput } = addDataInputs(builder, network, config.input);
  const inputs = new Map<string, Value>(data);
  const state: StateTensor[] = [];
  const keep = (name: string, initial: Tensor): Value => {
    state.push({ name, initial });
    return builder.input(name, { dtype: initial.dtype, shape: initial.shape });
  };
  for (const parameter of network.parameters) inputs.set(parameter.name, keep(parameter.name, parameter.value));

  const forward = addForward(builder, network, inputs, config.mode);
  const [prediction] = forward.outputs.values();
  if (prediction === undefined || forward.outputs.size !== 1) {
    throw new GraphError(`training needs one output, the network has ${forward.outputs.size}`, {
      where: `network "${network.name}"`,
    });
  }
  const { batchSize, distillation } = config;
  const given = { data, batchSize, ...(distillation === undefined ? {} : { distillation }) };
  const { loss, targetInput } = addLoss(builder, prediction, config.loss, given);
  const layers = layersOfParameters(network);

  const trained = network.parameters.filter((parameter) => isTrained(parameter, config.mode));
  const wanted = trained.map((parameter) => inputFor(inputs, parameter));
  const gradients = differentiate(builder, operators, builder.nodes, loss, wanted);
  if (gradients.size === 0)
    throw new GraphError("no trainable parameter reaches the loss", { where: `network "${network.name}"` });

  const scalars = new Map<string, Value>();
  const scalarInput = (name: string): Value => {
    const known = scalars.get(name) ?? builder.input(name, { dtype: "float32", shape: [] });
    scalars.set(name, known);
    return known;
  };
  const next = new Map<string, Value>(forward.updates);
  const optimizer = optimizerFor(config.optimizer);
  const optimizerScalars = Object.fromEntries(
    Object.keys(optimizer.scalars(1)).map((name) => [name, scalarInput(name)]),
  );
  const { oscillation } = config;
  const grids =
    oscillation === undefined || !config.mode.fakeQuantize
      ? new Map<string, WeightOnGrid>()
      : evenGrids(builder, source, inputs);
  const built = new Map<Parameter, Value | undefined>();
  const gradientOf = (parameter: Parameter): Value | undefined => {
    if (!built.has(parameter)) built.set(parameter, wholeGradientOf(parameter));
    return built.get(parameter);
  };
  const wholeGradientOf = (parameter: Parameter): Value | undefined => {
    const plain = gradients.get(inputFor(inputs, parameter));
    const grid = grids.get(parameter.name);
    if (plain === undefined || grid === undefined || oscillation?.dampen !== true) return plain;
    return builder.from({ origin: originOf("backward", layers.get(parameter.name)) }, () =>
      add(builder, plain, dampeningGradient(builder, grid, scalarInput(dampeningInput))),
    );
  };
  const { gradientClip } = config;
  const factor =
    gradientClip === undefined
      ? undefined
      : builder.from({ origin: originOf("update", undefined) }, () =>
          clippingFactor(
            builder,
            trained.flatMap((parameter) => gradientOf(parameter) ?? []),
            gradientClip,
          ),
        );
  for (const parameter of trained) {
    const value = inputFor(inputs, parameter);
    const whole = gradientOf(parameter);
    if (whole === undefined) continue;
    const updateOrigin = originOf("update", layers.get(parameter.name));
    const gradient =
      factor === undefined ? whole : builder.from({ origin: updateOrigin }, () => multiply(builder, whole, factor));
    const group = groupOf(parameter.role);
    const own = Object.entries(optimizer.init(value.type)).map(([name, initial]) => ({
      name,
      value: keep(optimizerStateName(parameter.name, name), initial),
    }));
    const update = {
      parameter: value,
      gradient,
      state: Object.fromEntries(own.map(({ name, value }) => [name, value])),
      learningRate: scalarInput(learningRateInput(group)),
      weightDecay: config.weightDecay[group],
      scalars: optimizerScalars,
    };
    const minimum = parameter.minimum;
    const result = builder.from({ origin: updateOrigin }, () =>
      builder.scope(`optimizer/${parameter.name}`, () => {
        const { parameter: moved, state: kept } = optimizer.update(builder, update);
        return { parameter: minimum === undefined ? moved : maximum(builder, moved, minimum), state: kept };
      }),
    );
    next.set(parameter.name, result.parameter);
    for (const [name, value] of Object.entries(result.state)) next.set(optimizerStateName(parameter.name, name), value);
  }
  if (oscillation?.freeze === true) {
    for (const [name, grid] of grids) {
      const weight = next.get(name);
      if (weight === undefined) continue;
      const kept = Object.entries(oscillationState(weight.type.shape)).map(
        ([key, initial]) => [key, keep(oscillationStateName(name, key), initial)] as const,
      );
      const threshold = scalarInput(thresholdInput);
      const frozen = builder.from({ origin: originOf("update", layers.get(name)) }, () => {
        const moved = evenGrid(builder, grid.site, weight, (parameter) => next.get(parameter) ?? inputs.get(parameter));
        return freezeOscillating(
          builder,
          moved ?? { ...grid, weight },
          Object.fromEntries(kept),
          threshold,
          oscillation.momentum,
        );
      });
      next.set(name, frozen.weight);
      for (const [key, value] of Object.entries(frozen.state)) next.set(oscillationStateName(name, key), value);
    }
  }

  builder.output("loss", loss);
  builder.output("prediction", prediction);
  const changed = state.filter(({ name }) => next.has(name));
  for (const { name } of changed) {
    const value = next.get(name);
    if (value !== undefined) builder.output(nextName(name), value);
  }
  return { graph: builder.finish(), state, scalars: [...scalars.keys()], dataInput, targetInput };
}

interface WeightOnGrid extends QuantizedWeight {
  readonly site: QuantizerSite;
}

/** The weights whose codes lie on an even grid, by the weight's name. */
function evenGrids(
  builder: GraphBuilder,
  network: Network,
  inputs: ReadonlyMap<string, Value>,
): Map<string, WeightOnGrid> {
  const sites = isQuantized(network) ? network.sites : [];
  const entries = sites.flatMap((site) => {
    const weight = site.parameter === undefined ? undefined : inputs.get(site.parameter);
    const found = weight === undefined ? undefined : evenGrid(builder, site, weight, (name) => inputs.get(name));
    return site.parameter === undefined || found === undefined ? [] : [[site.parameter, { ...found, site }] as const];
  });
  return new Map(entries);
}

/** A weight with the grid that the values of its quantizer's parameters give. */
function evenGrid(
  builder: GraphBuilder,
  { spec, parameters }: QuantizerSite,
  weight: Value,
  find: (parameter: string) => Value | undefined,
): QuantizedWeight | undefined {
  const values = new Map(
    Object.entries(parameters).flatMap(([name, parameter]) => {
      const value = find(parameter);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
  const grid = gridValuesOf(builder, spec, weight, values);
  return grid === undefined ? undefined : { spec, weight, grid };
}

/** The name under which the oscillation state of a weight is kept. */
export function oscillationStateName(weight: string, state: string): string {
  return `oscillation.${weight}.${state}`;
}

/** The output that carries a state tensor's next value. */
export function nextName(state: string): string {
  return `next.${state}`;
}

function isTrained(parameter: Parameter, mode: ForwardMode): boolean {
  return parameter.trainable && (mode.fakeQuantize || parameter.role !== "quantizer");
}

function inputFor(inputs: ReadonlyMap<string, Value>, parameter: Parameter): Value {
  const value = inputs.get(parameter.name);
  if (value === undefined) throw new GraphError(`no input for parameter "${parameter.name}"`);
  return value;
}
