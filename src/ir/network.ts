/**
 * A network: a graph whose parameters are inputs, with what each parameter is and its present value.
 *
 * Keeping parameters as inputs lets one graph serve training (they come in as state and go out updated), evaluation
 * and export (they become constants).
 */
import { GraphError } from "../errors.ts";
import type { Graph, Node, Value } from "./graph.ts";
import type { LayerId, Origin } from "./origin.ts";
import type { Tensor } from "./tensor.ts";
import { elementCount, sameShape } from "./types.ts";

/** The role of a parameter; optimizers and quantizers choose by it. */
export type ParameterRole =
  | "weight"
  | "bias"
  | "normalization-scale"
  | "normalization-bias"
  | "running-mean"
  | "running-variance"
  | "quantizer"
  | "observer"
  | "other";

/** The name of a parameter: unique within the network, and that of the tensor in checkpoints. */
export type ParameterId = string;

/** A tensor that the network keeps: trained, observed or fixed. */
export interface Parameter {
  /** Also the name of the graph's input; dots separate the parts, as in torch: `layer1.0.conv1.weight`. */
  readonly name: ParameterId;
  readonly role: ParameterRole;
  readonly trainable: boolean;
  readonly value: Tensor;
  /** A bound that every update keeps (a scale stays positive); absent: none. */
  readonly minimum?: number;
}

/** A graph whose parameters are inputs, with their values. */
export interface Network {
  readonly name: string;
  /** Inputs: the data first, then one input for each parameter. Outputs: the network's outputs, `logits` by convention. */
  readonly graph: Graph;
  readonly parameters: readonly Parameter[];
  /** The only batch size that the graph holds for: it is another graph for others. Absent: types are inferred for any. */
  readonly onlyBatch?: number;
}

/**
 * The inputs that are data, not parameters.
 *
 * @example
 * console.log(dataInputs(network).map(({ name }) => name));
 */
export function dataInputs(network: Network): readonly Value[] {
  const names = new Set(network.parameters.map((parameter) => parameter.name));
  return network.graph.inputs.filter((value) => !names.has(value.name));
}

/** Returns the layer of each parameter, by its name: that of the first node that reads it, where this belongs to one. */
export function layersOfParameters({ graph, parameters }: Network): ReadonlyMap<string, LayerId> {
  const names = new Set(parameters.map(({ name }) => name));
  const layers = new Map<string, LayerId | undefined>();
  for (const { inputs, origin } of graph.nodes) {
    for (const value of inputs) {
      if (value !== undefined && names.has(value.name) && !layers.has(value.name)) layers.set(value.name, origin.layer);
    }
  }
  return new Map([...layers].flatMap(([name, layer]) => (layer === undefined ? [] : [[name, layer] as const])));
}

/** Returns the network with other origins of its nodes. */
export function withOrigins<Kind extends Network>(network: Kind, change: (origin: Origin, node: Node) => Origin): Kind {
  const nodes = network.graph.nodes.map((node) => ({ ...node, origin: change(node.origin, node) }));
  return { ...network, graph: { ...network.graph, nodes } };
}

/**
 * The same network with other parameter values. @throws GraphError for a missing tensor or another shape.
 *
 * @example
 * const values = new Map(network.parameters.map(({ name, value }) => [name, value]));
 * console.log(withParameterValues(network, values).parameters.length === network.parameters.length); // true
 */
export function withParameterValues(network: Network, values: ReadonlyMap<string, Tensor>): Network {
  return {
    ...network,
    parameters: network.parameters.map((parameter) => {
      const value = values.get(parameter.name);
      if (value === undefined) {
        throw new GraphError(`no value for parameter "${parameter.name}"`, { where: `network "${network.name}"` });
      }
      if (!sameShape(value.shape, parameter.value.shape) || value.dtype !== parameter.value.dtype) {
        throw new GraphError(
          `parameter "${parameter.name}" is ${parameter.value.dtype}[${parameter.value.shape}], got ${value.dtype}[${value.shape}]`,
          { where: `network "${network.name}"` },
        );
      }
      return { ...parameter, value };
    }),
  };
}

/**
 * Number of trainable scalars.
 *
 * @example
 * console.log(parameterCount(network)); // trainable scalars
 */
export function parameterCount(network: Network): number {
  return network.parameters.filter((p) => p.trainable).reduce((sum, p) => sum + elementCount(p.value.shape), 0);
}
