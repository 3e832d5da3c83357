/**
 * Weights in groups along their inputs, rounded as they are: what language models are stored in. Every output of a layer and every row of
 * an embedding has a scale, and a zero point where the grid is affine, for each run of inputs.
 *
 * Groups are runs of elements in a tensor's order, so a weight whose outputs come last is kept transposed.
 */

import { type GraphBuilder, type Node, producers, type Value } from "../../ir/graph.ts";
import type { Network, Parameter } from "../../ir/network.ts";
import { float32Data, makeTensor, type Tensor } from "../../ir/tensor.ts";
import { isOperator } from "../../ops/definition.ts";
import { gatherOperator } from "../../ops/families/shape/indexing.ts";
import { transpose, transposeOperator } from "../../ops/families/shape/reshaping.ts";
import { resolveQuantizer, type TensorQuantization } from "../../qconfig/tensor-quantization.ts";
import { uniform } from "../../quantizers/methods/uniform.ts";
import { newBuilder, traitsOf } from "../registry.ts";
import { insertQuantizer, type QuantizedNetwork, type QuantizerSite, siteOfTensor } from "../sites.ts";
import { copyNodes, mapped, type ValueMap } from "./copy.ts";
import { requireFloat } from "./without-quantizers.ts";

/** How weights are rounded in groups. */
export interface GroupOptions {
  readonly bits: 2 | 4 | 8;
  /** Inputs of an output that share a scale: a power of two from 16. A layer that it does not divide takes the largest that does. */
  readonly groupSize: number;
  /** Whether 0 is in the middle of the codes; otherwise each group has a zero point. */
  readonly symmetric: boolean;
}

/** The fewest elements that share a scale. */
export const smallestGroup = 16;

/** A network with weights in groups, and the weights that stay in float because no group divides their inputs. */
export interface GroupedWeights {
  readonly network: QuantizedNetwork;
  readonly left: readonly string[];
}

/**
 * Rounds the weights of matrix products and embeddings to the nearest code, in groups along their inputs.
 *
 * @throws ConfigError where the network has quantizers already.
 * @example
 * const { network: rounded } = withGroupedWeights(network, { bits: 4, groupSize: 32, symmetric: false });
 * console.log(rounded.sites.length);
 */
export function withGroupedWeights(network: Network, options: GroupOptions): GroupedWeights {
  requireFloat(network, `network "${network.name}"`);
  const builder = newBuilder(network.graph.name);
  const map: ValueMap = new Map();
  const parameters: Parameter[] = [];
  const sites: QuantizerSite[] = [];
  const left: string[] = [];
  const known = new Map(network.parameters.map((parameter) => [parameter.name, parameter]));
  const orders = weightOrders(network);
  for (const input of network.graph.inputs) {
    const parameter = known.get(input.name);
    const order = orders.get(input);
    const rows = parameter === undefined || order === undefined ? undefined : inRows(parameter.value, order);
    const group = rows === undefined ? undefined : groupOf(rows.shape[1] ?? 0, options.groupSize);
    if (parameter === undefined || order === undefined || rows === undefined || group === undefined) {
      if (rows !== undefined) left.push(input.name);
      if (parameter !== undefined) parameters.push(parameter);
      map.set(input, builder.input(input.name, input.type));
      continue;
    }
    const value = builder.input(input.name, { dtype: "float32", shape: rows.shape });
    const made = rounded(builder, value, rows, { ...options, groupSize: group }, order.reader);
    parameters.push({ ...parameter, value: rows }, ...made.parameters);
    sites.push(made.site);
    map.set(input, order.outputsLast ? transpose(builder, made.quantized, [1, 0]) : made.quantized);
  }
  copyNodes(network.graph, builder, map);
  for (const output of network.graph.outputs) builder.output(output.name, mapped(map, output.value));
  return { network: { name: network.name, graph: builder.finish(), parameters, sites }, left };
}

/**
 * Returns the same network with the weights of products as [outputs, inputs]: groups of a quantizer are runs of elements in that order, and
 * so run along the inputs, as engines want them.
 *
 * @example
 * const rows = withWeightsByOutput(network);
 * console.log(rows.parameters.length === network.parameters.length); // true
 */
export function withWeightsByOutput<Kind extends Network>(network: Kind): Kind {
  const orders = weightOrders(network);
  const builder = newBuilder(network.graph.name);
  const map: ValueMap = new Map();
  const turned = new Map<string, Tensor>();
  const known = new Map(network.parameters.map((parameter) => [parameter.name, parameter.value]));
  for (const input of network.graph.inputs) {
    const [order, value] = [orders.get(input), known.get(input.name)];
    if (order?.outputsLast !== true || value === undefined) {
      map.set(input, builder.input(input.name, input.type));
      continue;
    }
    const rows = inRows(value, order);
    turned.set(input.name, rows);
    map.set(input, transpose(builder, builder.input(input.name, { dtype: "float32", shape: rows.shape }), [1, 0]));
  }
  copyNodes(network.graph, builder, map);
  for (const output of network.graph.outputs) builder.output(output.name, mapped(map, output.value));
  const parameters = network.parameters.map((each) => ({ ...each, value: turned.get(each.name) ?? each.value }));
  return { ...network, graph: builder.finish(), parameters };
}

/** The largest power of two up to a size that divides a number of inputs; undefined where that is too small. */
function groupOf(inputs: number, size: number): number | undefined {
  let group = size;
  while (group >= smallestGroup && inputs % group !== 0) group /= 2;
  return group >= smallestGroup ? group : undefined;
}

function rounded(
  builder: GraphBuilder,
  value: Value,
  sample: Tensor,
  { bits, groupSize, symmetric }: GroupOptions,
  layer: string,
) {
  const asked: TensorQuantization = {
    quantizer: uniform.name,
    bits,
    signed: symmetric,
    granularity: "group",
    groupSize,
    options: { scheme: symmetric ? "symmetric" : "affine" },
  };
  const { name } = value;
  const spec = resolveQuantizer(asked, { name, type: value.type, nonNegative: false });
  const id = siteOfTensor(name);
  return insertQuantizer(
    builder,
    value,
    { id, kind: "weight", layer, tensor: name, parameter: name, spec, asked },
    sample,
  );
}

/** How a weight lies in its tensor. */
interface WeightOrder {
  /** Whether its shape is [inputs, outputs] and not [outputs, inputs]. */
  readonly outputsLast: boolean;
  /** The first layer that reads it. */
  readonly reader: string;
}

/** The weights of matrix products and the tables of embeddings that all readers take in one order. */
function weightOrders({ graph, parameters }: Network): ReadonlyMap<Value, WeightOrder> {
  const names = new Set(parameters.filter(({ value }) => value.shape.length === 2).map(({ name }) => name));
  const weights = new Set(graph.inputs.filter(({ name }) => names.has(name)));
  const orders = new Map<Value, WeightOrder>();
  const mixed = new Set<Value>();
  const made = producers(graph);
  for (const node of graph.nodes) {
    node.inputs.forEach((value, index) => {
      if (value === undefined || !weights.has(value) || made.has(value)) return;
      const outputsLast = outputsComeLast(node, index);
      const first = orders.get(value);
      if (outputsLast === undefined || (first !== undefined && first.outputsLast !== outputsLast)) mixed.add(value);
      else if (first === undefined) orders.set(value, { outputsLast, reader: node.name });
    });
  }
  return new Map([...orders].filter(([value]) => !mixed.has(value)));
}

/** Whether a node takes its input as [inputs, outputs]; undefined where it is no weight of a product or table of an embedding. */
function outputsComeLast(node: Node, index: number): boolean | undefined {
  // The rows of a table, or the weight that another layer shares in another order, lie as they are stored.
  if (index === 0 && (isOperator(gatherOperator, node) || isOperator(transposeOperator, node))) return false;
  const { layer } = traitsOf(node);
  return layer?.weight === index ? layer.outputAxis(node) === 1 : undefined;
}

/** A weight as [outputs, inputs]. */
function inRows(tensor: Tensor, { outputsLast }: WeightOrder): Tensor {
  if (!outputsLast) return tensor;
  const data = float32Data(tensor);
  const [inputs = 0, outputs = 0] = tensor.shape;
  const rows = new Float32Array(data.length);
  for (let i = 0; i < inputs; i++) for (let o = 0; o < outputs; o++) rows[o * inputs + i] = data[i * outputs + o] ?? 0;
  return makeTensor("float32", [outputs, inputs], rows);
}
