/** The same network for another batch size: types are inferred again from the data inputs. */
import type { Network } from "../../ir/network.ts";
import { newBuilder } from "../registry.ts";
import { copyNodes, mapped, type ValueMap } from "./copy.ts";

/** @throws GraphError when a node cannot live with that batch size (a Reshape to a fixed one). */
export function bindBatch(network: Network, batchSize: number): Network {
  const parameters = new Set(network.parameters.map((parameter) => parameter.name));
  const builder = newBuilder(network.graph.name);
  const map: ValueMap = new Map();
  for (const input of network.graph.inputs) {
    const { dtype, shape } = input.type;
    const bound = parameters.has(input.name) ? shape : [batchSize, ...shape.slice(1)];
    map.set(input, builder.input(input.name, { dtype, shape: bound }));
  }
  copyNodes(network.graph, builder, map);
  for (const output of network.graph.outputs) builder.output(output.name, mapped(map, output.value));
  return { ...network, graph: builder.finish() };
}
