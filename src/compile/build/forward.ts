/**
 * The forward pass of a network as part of a job's graph: in training BatchNormalization uses the batch's statistics
 * and observers move; in evaluation everything is taken as it stands.
 */
import { GraphError } from "../../errors.ts";
import { floatAttribute } from "../../ir/attributes.ts";
import { type GraphBuilder, type Node, producers, showNode, type Value } from "../../ir/graph.ts";
import type { Network } from "../../ir/network.ts";
import { elementCount } from "../../ir/types.ts";
import { observerNamed } from "../../observers/index.ts";
import { isOperator } from "../../ops/definition.ts";
import { batchNormalizationOperator, batchNormTrain } from "../../ops/families/normalization.ts";
import { reduceMean } from "../../ops/families/reduce.ts";
import { repeated, reshape, tileOperator } from "../../ops/families/shape/shape-ops.ts";
import type { QuantizerSpec } from "../../quantizers/definition.ts";
import { fakeQuantize, isFakeQuantize, specOf } from "../../quantizers/fake-quantize.ts";
import { quantizerNamed } from "../../quantizers/index.ts";
import { copyNodes, mapped, type ValueMap } from "../passes/copy.ts";
import { isQuantized, type QuantizerSite } from "../sites.ts";

/** The modes of a forward pass; a training run switches them by epoch. */
export interface ForwardMode {
  /** Observers see the batch and move the parameters that they drive. */
  readonly observe: boolean;
  /** Off: FakeQuantize nodes pass their input on. */
  readonly fakeQuantize: boolean;
  /** Names of quantizer sites that pass their input on although the others quantize. */
  readonly bypass?: readonly string[];
  /** "batch": normalise by the batch and move the running statistics; "running": use these as they are. */
  readonly batchNorm: "batch" | "running";
  /** Share of the old running statistics that is kept, instead of each node's own; 0 gives those of the batch. */
  readonly batchNormMomentum?: number;
}

/** Fixed observers, fake-quantization on, running statistics. */
export const evaluationMode: ForwardMode = { observe: false, fakeQuantize: true, batchNorm: "running" };
/** Moving observers, fake-quantization on, batch statistics. */
export const trainingMode: ForwardMode = { observe: true, fakeQuantize: true, batchNorm: "batch" };

/** The values that a forward pass computes. */
export interface ForwardResult {
  /** The network's outputs, by name. */
  readonly outputs: ReadonlyMap<string, Value>;
  /** Parameters that the pass itself changes (running statistics, observers, observed scales): name → next value. */
  readonly updates: ReadonlyMap<string, Value>;
  /** Inputs of the FakeQuantize nodes, by site name; of a site at several time steps the last one. */
  readonly quantizerInputs: ReadonlyMap<string, Value>;
  /** All of them: more than one where a site stands at several time steps. */
  readonly allQuantizerInputs: ReadonlyMap<string, readonly Value[]>;
  /** The outputs of the sites' quantizers; the input itself where they are bypassed. */
  readonly quantizerOutputs: ReadonlyMap<string, Value>;
  /** Every value of the network → the value that stands for it in the builder. */
  readonly values: ReadonlyMap<Value, Value>;
}

/**
 * Adds the network's nodes to `builder`.
 *
 * @param inputs The network's inputs (data and parameters) in `builder`, by name.
 */
export function addForward(
  builder: GraphBuilder,
  network: Network,
  inputs: ReadonlyMap<string, Value>,
  mode: ForwardMode,
): ForwardResult {
  const map: ValueMap = new Map();
  for (const input of network.graph.inputs) {
    const value = inputs.get(input.name);
    if (value === undefined) {
      throw new GraphError(`no value for input "${input.name}"`, { where: `network "${network.name}"` });
    }
    map.set(input, value);
  }
  const updates = new Map<string, Value>();
  const quantizerInputs = new Map<string, Value>();
  const quantizerOutputs = new Map<string, Value>();
  const allQuantizerInputs = new Map<string, readonly Value[]>();
  const producerOf = producers(network.graph);
  const sites = new Map(isQuantized(network) ? network.sites.map((site) => [site.id, site]) : []);
  copyNodes(network.graph, builder, map, (node, values) => {
    if (isOperator(batchNormalizationOperator, node) && mode.batchNorm === "batch") {
      return [trainBatchNorm(builder, node, values, mode, updates, producerOf)];
    }
    if (isFakeQuantize(node)) {
      const [x] = values;
      if (x === undefined) throw new GraphError("input 0 is missing", { where: showNode(node) });
      quantizerInputs.set(node.name, x);
      allQuantizerInputs.set(node.name, [...(allQuantizerInputs.get(node.name) ?? []), x]);
      const own = mode.bypass?.includes(node.name) === true ? { ...mode, fakeQuantize: false } : mode;
      const y =
        own.fakeQuantize || own.observe
          ? applyQuantizer(builder, { node, site: sites.get(node.name) }, x, values, inputs, own, updates)
          : x;
      quantizerOutputs.set(node.name, y);
      return [y];
    }
    return undefined;
  });
  const outputs = new Map(network.graph.outputs.map(({ name, value }) => [name, mapped(map, value)] as const));
  return { outputs, updates, quantizerInputs, allQuantizerInputs, quantizerOutputs, values: map };
}

function trainBatchNorm(
  builder: GraphBuilder,
  node: Node,
  values: readonly (Value | undefined)[],
  mode: ForwardMode,
  updates: Map<string, Value>,
  producerOf: ReadonlyMap<Value, Node>,
): Value {
  const [x, scale, bias, mean, variance] = values;
  if (x === undefined || scale === undefined || bias === undefined || mean === undefined || variance === undefined) {
    throw new GraphError("BatchNormalization needs five inputs", { where: showNode(node) });
  }
  const [ownMean, ownVariance] = [statisticOf(node.inputs[3], producerOf), statisticOf(node.inputs[4], producerOf)];
  // A module that is called twice moves its statistics twice.
  const moved = ({ parameter, copies }: Statistic) => {
    const value = parameter && updates.get(parameter.name);
    return value === undefined || copies === 1 ? value : repeated(builder, value, copies);
  };
  const result = batchNormTrain(
    builder,
    { x, scale, bias, mean: moved(ownMean) ?? mean, variance: moved(ownVariance) ?? variance },
    {
      epsilon: floatAttribute(node, "epsilon", 1e-5),
      momentum: mode.batchNormMomentum ?? floatAttribute(node, "momentum", 0.9),
      name: node.name,
    },
  );
  const keep = ({ parameter, copies }: Statistic, next: Value) => {
    if (parameter !== undefined) updates.set(parameter.name, copies === 1 ? next : meanOfCopies(builder, next, copies));
  };
  keep(ownMean, result.runningMean);
  keep(ownVariance, result.runningVariance);
  return result.y;
}

/** A running statistic, which may be repeated for each sample of the batch. */
interface Statistic {
  readonly parameter: Value | undefined;
  readonly copies: number;
}

function statisticOf(value: Value | undefined, producerOf: ReadonlyMap<Value, Node>): Statistic {
  const source = value && producerOf.get(value);
  const parameter = source && isOperator(tileOperator, source) ? source.inputs[0] : undefined;
  if (value === undefined || parameter === undefined) return { parameter: value, copies: 1 };
  return { parameter, copies: elementCount(value.type.shape) / elementCount(parameter.type.shape) };
}

/** As torch does for the instances of a batch. */
function meanOfCopies(builder: GraphBuilder, values: Value, copies: number): Value {
  const rows = reshape(builder, values, [copies, elementCount(values.type.shape) / copies]);
  return reduceMean(builder, rows, [0], { keepDimensions: false });
}

function applyQuantizer(
  builder: GraphBuilder,
  { node, site }: { readonly node: Node; readonly site: QuantizerSite | undefined },
  x: Value,
  values: readonly (Value | undefined)[],
  inputs: ReadonlyMap<string, Value>,
  mode: ForwardMode,
  updates: Map<string, Value>,
): Value {
  const spec = specOf(node);
  const definition = quantizerNamed(spec.quantizer);
  const parameters: Record<string, Value> = {};
  definition.parameters(spec, x.type).forEach(({ name }, index) => {
    const value = values[index + 1];
    if (value === undefined) throw new GraphError(`parameter "${name}" is missing`, { where: showNode(node) });
    parameters[name] = value;
  });
  if (mode.observe && spec.observer !== undefined) {
    if (site === undefined)
      throw new GraphError("the network has no site for this quantizer", { where: showNode(node) });
    const observed = observe(builder, site, x, spec, inputs, updates);
    for (const [name, value] of Object.entries(observed)) {
      parameters[name] = value;
      const parameter = site.parameters[name];
      if (parameter !== undefined) updates.set(parameter, value);
    }
  }
  return mode.fakeQuantize ? fakeQuantize(builder, x, spec, parameters, node.name) : x;
}

/** Returns the tensor that an observer reads: groups become rows, each a channel of its own. */
function rowsOf(
  builder: GraphBuilder,
  spec: QuantizerSpec,
  x: Value,
): { readonly spec: QuantizerSpec; readonly x: Value } {
  const { groupSize, ...whole } = spec;
  if (groupSize === undefined) return { spec, x };
  const rows = reshape(builder, x, [elementCount(x.type.shape) / groupSize, groupSize]);
  return { spec: { ...whole, channelAxis: 0 }, x: rows };
}

/**
 * Updates the observer's state and returns the quantizer's parameters that follow from it. At several time steps each continues
 * from the state of the one before, as torch's observers do that are called several times.
 */
function observe(
  builder: GraphBuilder,
  { id, states }: QuantizerSite,
  x: Value,
  spec: QuantizerSpec,
  inputs: ReadonlyMap<string, Value>,
  updates: Map<string, Value>,
): Readonly<Record<string, Value>> {
  const definition = quantizerNamed(spec.quantizer);
  if (spec.observer === undefined || definition.fromRange === undefined) return {};
  const observer = observerNamed(spec.observer.observer);
  const state: Record<string, Value> = {};
  for (const { name } of observer.state(spec, x.type)) {
    const own = states[name] ?? "";
    const value = updates.get(own) ?? inputs.get(own);
    if (value === undefined)
      throw new GraphError(`the observer state "${name}" is missing`, { where: `quantizer "${id}"` });
    state[name] = value;
  }
  const next = observer.update({ builder, ...rowsOf(builder, spec, x), state });
  for (const [name, value] of Object.entries(next)) {
    const state = states[name];
    if (state !== undefined) updates.set(state, value);
  }
  return definition.fromRange(builder, spec, observer.range({ builder, spec, state: next }));
}
