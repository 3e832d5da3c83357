/**
 * InstanceNorm with running statistics: an exporter without an operator for it normalizes the samples as channels, [1, N·C, …],
 * by a BatchNormalization whose parameters are stored once for each sample. They are one for all samples again here, so that
 * training changes one, and the running statistics are those of all samples (compile/build/forward.ts).
 */

import { copyNode, copyNodes, mapped, type ValueMap } from "../../compile/passes/copy.ts";
import { newBuilder } from "../../compile/registry.ts";
import { consumers, type Node, producers, type Value } from "../../ir/graph.ts";
import type { Network, Parameter } from "../../ir/network.ts";
import { float32Data, float32Tensor } from "../../ir/tensor.ts";
import { isOperator } from "../../ops/definition.ts";
import { batchNormalizationOperator } from "../../ops/families/normalization.ts";
import { repeated, reshapeOperator } from "../../ops/families/shape/shape-ops.ts";

/** Returns the network with one set of parameters for the samples that a BatchNormalization takes for channels. */
export function tieInstanceStatistics<Kind extends Network>(network: Kind): Kind {
  const { graph } = network;
  const tied = repeatedParameters(network);
  if (tied.size === 0) return network;
  const builder = newBuilder(graph.name);
  const map: ValueMap = new Map();
  const parameters = network.parameters.map((parameter) => {
    const copies = tied.get(parameter.name);
    if (copies === undefined) return parameter;
    const data = float32Data(parameter.value);
    return { ...parameter, value: float32Tensor([data.length / copies], data.slice(0, data.length / copies)) };
  });
  const values = new Map(parameters.map(({ name, value }) => [name, value]));
  for (const input of graph.inputs) {
    const value = tied.has(input.name) ? values.get(input.name) : undefined;
    map.set(input, builder.input(input.name, value ?? input.type));
  }
  copyNodes(graph, builder, map, (node, inputs) => {
    if (!node.inputs.some((value) => value !== undefined && tied.has(value.name))) return undefined;
    const whole = inputs.map((value, i) => {
      const copies = tied.get(node.inputs[i]?.name ?? "");
      return value === undefined || copies === undefined ? value : repeated(builder, value, copies);
    });
    return copyNode(builder, node, whole);
  });
  for (const output of graph.outputs) builder.output(output.name, mapped(map, output.value));
  return { ...network, graph: builder.finish(), parameters };
}

/** Returns how many times the file repeats a parameter, for those that it does. */
function repeatedParameters({ graph, parameters }: Network): ReadonlyMap<string, number> {
  const [producerOf, consumersOf] = [producers(graph), consumers(graph)];
  const named = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  const tied = new Map<string, number>();
  for (const node of graph.nodes) {
    const copies = samplesAsChannels(node, producerOf);
    if (copies === undefined) continue;
    const own = node.inputs.slice(1).flatMap((value) => (value && named.get(value.name) ? [value] : []));
    const isOwn = (value: Value) =>
      (consumersOf.get(value) ?? []).every((consumer) => samplesAsChannels(consumer, producerOf) === copies);
    const whole = own.filter(isOwn).flatMap(({ name }) => named.get(name) ?? []);
    if (whole.length < own.length || !whole.every((parameter) => repeats(parameter, copies))) continue;
    for (const { name } of whole) tied.set(name, copies);
  }
  return tied;
}

/** Returns the samples of a BatchNormalization that reads them as channels; undefined for any other node. */
function samplesAsChannels(node: Node, producerOf: ReadonlyMap<Value, Node>): number | undefined {
  const [x] = node.inputs;
  if (!isOperator(batchNormalizationOperator, node) || x === undefined) return undefined;
  const source = producerOf.get(x);
  const shape = source && isOperator(reshapeOperator, source) ? source.inputs[0]?.type.shape : undefined;
  if (shape === undefined) return undefined;
  const [samples = 1, channels = 1, ...rest] = shape;
  const isFlat = x.type.shape.join() === [1, samples * channels, ...rest].join();
  return isFlat && samples > 1 ? samples : undefined;
}

function repeats({ value }: Parameter, copies: number): boolean {
  const data = float32Data(value);
  const period = data.length / copies;
  return data.every((number, i) => number === data[i % period]);
}
