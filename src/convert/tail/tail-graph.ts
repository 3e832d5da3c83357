/** The float tail in the graphs of converted networks. */
import { bindBatch } from "../../compile/passes/bind-batch.ts";
import { copyNodes, mapped, type ValueMap } from "../../compile/passes/copy.ts";
import { lowerGraph } from "../../compile/passes/lower.ts";
import { newBuilder, operators } from "../../compile/registry.ts";
import type { Graph, GraphBuilder, Value } from "../../ir/graph.ts";
import type { Network } from "../../ir/network.ts";
import { reshape } from "../../ops/families/shape/shape-ops.ts";
import { genericTarget } from "../../ops/targets.ts";
import type { IntegerNetwork } from "../integer-network.ts";

/** Options of the outputs of a graph. */
export interface OutputOptions {
  readonly batchSize: number;
  /** Adds what the tail reads as outputs, under these names. */
  readonly nameOf?: (id: number) => string;
}

/**
 * Adds the outputs of a network to a graph: what it gives itself, and what its float tail computes of that.
 *
 * @param value The value of a tensor.
 */
export function addNetworkOutputs(
  b: GraphBuilder,
  { outputs, tail }: IntegerNetwork,
  value: (id: number) => Value,
  { batchSize, nameOf }: OutputOptions,
): void {
  if (tail === undefined) {
    for (const { name, tensor } of outputs) b.output(name, value(tensor));
    return;
  }
  const read = new Map(outputs.map(({ name, tensor }) => [name, value(tensor)]));
  const made = tailValues(b, tail.network, batchSize, read);
  for (const { name, isDirect } of tail.results) {
    const result = (isDirect ? read : made).get(name);
    if (result !== undefined) b.output(name, result);
  }
  if (nameOf === undefined) return;
  const direct = new Set(tail.results.filter(({ isDirect }) => isDirect).map(({ name }) => name));
  for (const { name, tensor } of outputs) if (!direct.has(name)) b.output(nameOf(tensor), value(tensor));
}

/** The outputs of a tail by their names. */
function tailValues(
  b: GraphBuilder,
  network: Network,
  batchSize: number,
  read: ReadonlyMap<string, Value>,
): ReadonlyMap<string, Value> {
  const graph = lowered(bindBatch(network, batchSize));
  const map: ValueMap = new Map();
  for (const input of graph.inputs) {
    const value = read.get(input.name);
    if (value === undefined) continue;
    const { shape } = input.type;
    map.set(input, value.type.shape.join() === shape.join() ? value : reshape(b, value, shape));
  }
  copyNodes(graph, b, map);
  return new Map(graph.outputs.map(({ name, value }) => [name, mapped(map, value)]));
}

/** A network as standard operators, its parameters constants. */
function lowered({ graph, parameters }: Network): Graph {
  const values = new Map(parameters.map(({ name, value }) => [name, value]));
  const builder = newBuilder(graph.name);
  const map: ValueMap = new Map(
    graph.inputs.map((input) => {
      const tensor = values.get(input.name);
      const { name, type } = input;
      return [input, tensor === undefined ? builder.input(name, type) : builder.constant(tensor, name)];
    }),
  );
  copyNodes(graph, builder, map);
  for (const { name, value } of graph.outputs) builder.output(name, mapped(map, value));
  return lowerGraph(builder.finish(), operators, genericTarget);
}
