/** The layers of weights and the weights of layers, from the graph and not from their names. */
import { isLayer } from "../compile/layers.ts";
import { producers } from "../ir/graph.ts";
import type { Network, ParameterId } from "../ir/network.ts";
import type { LayerId } from "../ir/origin.ts";
import { isFakeQuantize } from "../quantizers/fake-quantize.ts";

/** Returns the weight of each layer, by the layer's name: the first of its inputs that is one, quantized or not. */
export function weightsOfLayers({ graph, parameters }: Network): ReadonlyMap<LayerId, ParameterId> {
  const weights = new Set(parameters.flatMap(({ name, role }) => (role === "weight" ? name : [])));
  const madeBy = producers(graph);
  const found = new Map<LayerId, ParameterId>();
  for (const { name, inputs } of graph.nodes.filter(isLayer)) {
    for (const input of inputs) {
      const producer = input === undefined ? undefined : madeBy.get(input);
      const source = producer !== undefined && isFakeQuantize(producer) ? producer.inputs[0] : input;
      if (source !== undefined && weights.has(source.name) && !found.has(name)) found.set(name, source.name);
    }
  }
  return found;
}

/** Returns the layer of each weight, by the weight's name: of a shared one the first. */
export function layersOfWeights(network: Network): ReadonlyMap<ParameterId, LayerId> {
  return new Map([...weightsOfLayers(network)].reverse().map(([layer, weight]) => [weight, layer]));
}
