/**
 * The costs and capabilities of a network: layers with shapes, parameters, multiplications, bit operations and
 * size at given bits, what can be quantized, and what cannot be trained and why.
 *
 * Numbers are for one sample. A bit operation is a multiplication of one bit by one bit: MACs · weight bits · activation
 * bits (as in HAWQ and most papers on mixed precision).
 */

import { layerBytes } from "../compile/layer-bytes.ts";
import { groupedOverTime, isLayer, macsOf } from "../compile/layers.ts";
import { bindBatch } from "../compile/passes/bind-batch.ts";
import { SubbyteError } from "../errors.ts";
import type { Node, Value } from "../ir/graph.ts";
import { dataInputs, type Network, type ParameterRole } from "../ir/network.ts";
import type { Shape } from "../ir/types.ts";
import { isFakeQuantize } from "../quantizers/fake-quantize.ts";
import { operatorRole } from "./parameters.ts";
import { frozenParameters, gradientObstacles } from "./trainability.ts";

/** Bits of weights and activations. */
export interface Bits {
  readonly weightBits: number;
  readonly activationBits: number;
}

/** The computation and cost of a layer. */
export interface LayerReport {
  readonly name: string;
  readonly op: string;
  readonly input: Shape;
  readonly output: Shape;
  /** Absent for products of two activations. */
  readonly weight?: Shape;
  /** Weight and bias. */
  readonly parameters: number;
  readonly multiplications: number;
  readonly bitOperations: number;
  /** The bytes that the simulated layer stores: the weight at its bits, the bias in float32, and no scales. */
  readonly parameterBytes: number;
  readonly quantizable: boolean;
}

/** The contents and cost of a network. */
export interface NetworkReport {
  readonly name: string;
  readonly inputs: readonly { readonly name: string; readonly type: string; readonly shape: Shape }[];
  readonly outputs: readonly { readonly name: string; readonly shape: Shape }[];
  readonly bits: Bits;
  readonly layers: readonly LayerReport[];
  readonly totals: {
    readonly parameters: number;
    readonly trainable: number;
    /** Means and variances of batch normalization, which move without gradients. */
    readonly statistics: number;
    readonly multiplications: number;
    readonly bitOperations: number;
    readonly parameterBytes: number;
    readonly floatBytes: number;
  };
  /** The number of nodes of each operator. */
  readonly operators: Readonly<Record<string, number>>;
  /** Operators without a gradient, before which parameters are frozen. */
  readonly obstacles: readonly {
    readonly node: string;
    readonly op: string;
    readonly reason: string;
    readonly remedy?: string;
  }[];
  /** Parameters that cannot be trained, with the reason. */
  readonly held: Readonly<Record<string, string>>;
}

const floatBits = 32;

/**
 * Looks at a network. @param bits What weights and activations of layers have; 32 is float.
 *
 * @example
 * console.log(inspectNetwork(network, { weightBits: 4, activationBits: 4 }).totals.bitOperations);
 */
export function inspectNetwork(network: Network, bits: Bits = { weightBits: 32, activationBits: 32 }): NetworkReport {
  const { graph } = oneSample(network);
  const parameters = new Map(network.parameters.map((parameter) => [parameter.name, parameter]));
  const behind = parameterBehind(graph.nodes);
  const layers = groupedOverTime(graph.nodes).flatMap((steps): LayerReport[] => {
    const [node] = steps;
    const multiplications = macsOf(node) * steps.length;
    const [x, second] = node.inputs;
    const [output] = node.outputs;
    if (multiplications === 0 || x === undefined || output === undefined) return [];
    const weight = [second, x].map(behind).find((value) => value && parameters.has(value.name));
    const elementsOf = (role: ParameterRole) =>
      node.inputs.reduce((sum, value, index) => {
        const parameter = parameters.get(behind(value)?.name ?? "");
        return operatorRole(node, index) === role ? sum + (parameter?.value.data.length ?? 0) : sum;
      }, 0);
    const [weights, others] = [elementsOf("weight"), elementsOf("bias")];
    const quantizable = isLayer(node) && weight !== undefined;
    const used = quantizable ? bits : { weightBits: floatBits, activationBits: floatBits };
    return [
      {
        name: node.name,
        op: node.op,
        input: (weight === x ? second : x)?.type.shape ?? [],
        output: output.type.shape,
        ...(weight === undefined ? {} : { weight: weight.type.shape }),
        parameters: weights + others,
        multiplications,
        bitOperations: multiplications * used.weightBits * used.activationBits,
        parameterBytes: layerBytes({ weights, bits: used.weightBits, words: others }),
        quantizable,
      },
    ];
  });
  const total = (of: (layer: LayerReport) => number) => layers.reduce((sum, layer) => sum + of(layer), 0);
  const all = network.parameters.reduce((sum, { value }) => sum + value.data.length, 0);
  const obstacles = gradientObstacles({ ...network, graph });
  return {
    name: network.name,
    inputs: dataInputs({ ...network, graph }).map(({ name, type }) => ({ name, type: type.dtype, shape: type.shape })),
    outputs: graph.outputs.map(({ name, value }) => ({ name, shape: value.type.shape })),
    bits,
    layers,
    totals: {
      parameters: all,
      trainable: network.parameters.reduce((sum, { trainable, value }) => sum + (trainable ? value.data.length : 0), 0),
      statistics: network.parameters.reduce(
        (sum, { role, value }) => sum + (role.startsWith("running") ? value.data.length : 0),
        0,
      ),
      multiplications: total((layer) => layer.multiplications),
      bitOperations: total((layer) => layer.bitOperations),
      parameterBytes: total((layer) => layer.parameterBytes) + 4 * (all - total((layer) => layer.parameters)),
      floatBytes: 4 * all,
    },
    operators: countOperators(graph.nodes),
    obstacles: obstacles.map(({ node, ...why }) => ({ node: node.name, op: node.op, ...why })),
    held: Object.fromEntries([...frozenParameters(graph, obstacles)].filter(([name]) => parameters.has(name))),
  };
}

/** The network for one sample, where it can be bound to one. */
function oneSample(network: Network): Network {
  try {
    return bindBatch(network, 1);
  } catch (error) {
    if (error instanceof SubbyteError) return network;
    throw error;
  }
}

function countOperators(nodes: readonly Node[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

/** A weight's parameter, through its quantizer. */
function parameterBehind(nodes: readonly Node[]): (value: Value | undefined) => Value | undefined {
  const quantizers = new Map(nodes.flatMap((node) => (isFakeQuantize(node) ? node.outputs.map((y) => [y, node]) : [])));
  return (value) => {
    const node = value === undefined ? undefined : quantizers.get(value);
    return node === undefined ? value : node.inputs[0];
  };
}
