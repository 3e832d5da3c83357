/**
 * BatchNormalization where an exporter folded it into a convolution: training is steadier with it, with many bits and with few.
 *
 * The folded factors cannot be separated again, so the new node changes nothing: its scale and standard deviation are one, its
 * offset is the convolution's bias, which moves there. Statistics of the convolution's outputs, with a scale and an offset
 * that undo them, keep it that way in training too (see train/loop/restored-batch-norm.ts).
 */

import { copyNode, copyNodes, mapped, type ValueMap } from "../../compile/passes/copy.ts";
import { newBuilder, traitsOf } from "../../compile/registry.ts";
import { consumers, type Graph, type Node, type Value } from "../../ir/graph.ts";
import type { Network, Parameter, ParameterId, ParameterRole } from "../../ir/network.ts";
import { filled } from "../../ir/tensor.ts";
import { isOperator } from "../../ops/definition.ts";
import { batchNormalization, batchNormalizationOperator } from "../../ops/families/normalization.ts";

/** ONNX's default, and the variance that makes √(variance + ε) one. */
const epsilon = 1e-5;

/** The parameters of a BatchNormalization that was put back, and its ε. */
export interface RestoredBatchNorm {
  readonly scale: ParameterId;
  readonly offset: ParameterId;
  readonly mean: ParameterId;
  readonly variance: ParameterId;
  readonly epsilon: number;
}

/**
 * Returns the network with a BatchNormalization after each convolution that has a bias of its own, no normalization behind it
 * and another layer further on: the last layer had none. A network of layer normalizations is returned as it is.
 */
export function restoreBatchNorms<Kind extends Network>(
  network: Kind,
): { readonly network: Kind; readonly restored: readonly RestoredBatchNorm[] } {
  const { graph } = network;
  const folded = foldedConvolutions(network);
  if (folded.size === 0) return { network, restored: [] };
  const builder = newBuilder(graph.name);
  const biases = new Map(network.parameters.map((each) => [each.name, each]));
  const moved = new Set([...folded.values()].map(({ name }) => name));
  const restored: RestoredBatchNorm[] = [];
  const added: Parameter[] = [];
  const map: ValueMap = new Map();
  for (const input of graph.inputs) {
    if (!moved.has(input.name)) map.set(input, builder.input(input.name, input.type));
  }
  const keep = (name: string, role: ParameterRole, trainable: boolean, value: Parameter["value"]) => {
    added.push({ name, role, trainable, value });
    return builder.input(name, { dtype: value.dtype, shape: value.shape });
  };
  for (const input of graph.inputs) {
    const bias = moved.has(input.name) ? biases.get(input.name) : undefined;
    if (bias !== undefined) map.set(input, keep(bias.name, "normalization-bias", bias.trainable, bias.value));
  }
  copyNodes(graph, builder, map, (node, inputs) => {
    const offset = folded.has(node) ? inputs[2] : undefined;
    if (offset === undefined) return undefined;
    const [y] = copyNode(builder, node, inputs.slice(0, 2));
    const channels = offset.type.shape;
    const place = node.name;
    if (y === undefined) return undefined;
    const scale = keep(`${place}.restored.weight`, "normalization-scale", true, filled(channels, 1));
    const mean = keep(`${place}.restored.running_mean`, "running-mean", false, filled(channels, 0));
    const variance = keep(`${place}.restored.running_var`, "running-variance", false, filled(channels, 1 - epsilon));
    restored.push({
      scale: scale.name,
      offset: offset.name,
      mean: mean.name,
      variance: variance.name,
      epsilon,
    });
    return [batchNormalization(builder, y, scale, offset, mean, variance, { epsilon, name: `${place}.restored` })];
  });
  for (const output of graph.outputs) builder.output(output.name, mapped(map, output.value));
  const parameters = [...network.parameters.filter(({ name }) => !moved.has(name)), ...added];
  return { network: { ...network, graph: builder.finish(), parameters }, restored };
}

/** Returns the convolutions that a BatchNormalization may have been folded into, each with its bias. */
function foldedConvolutions({ graph, parameters }: Network): ReadonlyMap<Node, Value> {
  const consumersOf = consumers(graph);
  const biases = new Set(parameters.filter(({ role }) => role === "bias").map(({ name }) => name));
  const isNormalization = (node: Node) => traitsOf(node).work === "normalization";
  const isOfBatches = (node: Node) => isOperator(batchNormalizationOperator, node);
  if (graph.nodes.some((node) => isNormalization(node) && !isOfBatches(node))) return new Map();
  const before = nodesBeforeLayers(graph);
  const folded = new Map<Node, Value>();
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    const bias = node.inputs[2];
    if (node.op !== "Conv" || output === undefined || bias === undefined || !biases.has(bias.name)) continue;
    const next = consumersOf.get(output) ?? [];
    if ((consumersOf.get(bias) ?? []).length === 1 && !next.some(isOfBatches) && before.has(node))
      folded.set(node, bias);
  }
  return folded;
}

/** Returns the nodes whose outputs reach a layer. */
function nodesBeforeLayers(graph: Graph): ReadonlySet<Node> {
  const consumersOf = consumers(graph);
  const before = new Set<Node>();
  for (const node of graph.nodes.toReversed()) {
    const next = node.outputs.flatMap((value) => consumersOf.get(value) ?? []);
    if (next.some((consumer) => before.has(consumer) || traitsOf(consumer).layer !== undefined)) before.add(node);
  }
  return before;
}
