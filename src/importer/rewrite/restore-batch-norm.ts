/**
 * BatchNormalization where an exporter folded it into a convolution: training below eight bits is steadier with it.
 *
 * The folded factors cannot be separated again, so the new node changes nothing: its scale and standard deviation are one, its
 * offset is the convolution's bias, which moves there.
 */

import { copyNode, copyNodes, mapped, type ValueMap } from "../../compile/passes/copy.ts";
import { newBuilder } from "../../compile/registry.ts";
import { consumers, type Node } from "../../ir/graph.ts";
import type { Network, Parameter, ParameterRole } from "../../ir/network.ts";
import { filled } from "../../ir/tensor.ts";

/** ONNX's default, and the variance that makes √(variance + ε) one. */
const epsilon = 1e-5;

/** The network with a BatchNormalization after each convolution that has a bias and none after it. */
export function restoreBatchNorms<Kind extends Network>(network: Kind): Kind {
  const { graph } = network;
  const builder = newBuilder(graph.name);
  const consumersOf = consumers(graph);
  const biases = new Map(network.parameters.filter(({ role }) => role === "bias").map((each) => [each.name, each]));
  const moved = new Set<string>();
  const added: Parameter[] = [];
  const isFolded = (node: Node): boolean => {
    const [output] = node.outputs;
    const bias = node.inputs[2];
    if (node.op !== "Conv" || output === undefined || bias === undefined || !biases.has(bias.name)) return false;
    const next = consumersOf.get(output) ?? [];
    return (consumersOf.get(bias) ?? []).length === 1 && !next.some(({ op }) => op === "BatchNormalization");
  };
  for (const node of graph.nodes) {
    const bias = node.inputs[2];
    if (isFolded(node) && bias !== undefined) moved.add(bias.name);
  }
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
    const offset = inputs[2];
    if (!isFolded(node) || offset === undefined) return undefined;
    const [y] = copyNode(builder, node, inputs.slice(0, 2));
    const channels = offset.type.shape;
    const place = node.name;
    if (y === undefined) return undefined;
    const scale = keep(`${place}.restored.weight`, "normalization-scale", true, filled(channels, 1));
    const mean = keep(`${place}.restored.running_mean`, "running-mean", false, filled(channels, 0));
    const variance = keep(`${place}.restored.running_var`, "running-variance", false, filled(channels, 1 - epsilon));
    const attributes = { epsilon: { float: epsilon }, momentum: { float: 0.9 } };
    return builder.node("BatchNormalization", [y, scale, offset, mean, variance], attributes, {
      name: `${place}.restored`,
    });
  });
  for (const output of graph.outputs) builder.output(output.name, mapped(map, output.value));
  const parameters = [...network.parameters.filter(({ name }) => !moved.has(name)), ...added];
  return { ...network, graph: builder.finish(), parameters };
}
