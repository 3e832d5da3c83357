/**
 * Networks with their channels last bring them there before they flatten an image for a dense layer. Integers keep their
 * order instead, and the rows of the layer's weights are put into it: the same products, in sums of another order.
 */
import { copyNodes, mapped, type ValueMap } from "../compile/passes/copy.ts";
import { newBuilder, traitsOf } from "../compile/registry.ts";
import type { QuantizedNetwork } from "../compile/sites.ts";
import { consumers, type Node, producers, type Value } from "../ir/graph.ts";
import { float32Data, float32Tensor, type Tensor } from "../ir/tensor.ts";
import { elementCount, transposedIndex } from "../ir/types.ts";
import { permutationOf } from "../ops/build/operands.ts";
import { isOperator } from "../ops/definition.ts";
import { flattenOperator, reshapeOperator, transposeOperator } from "../ops/families/shape/shape-ops.ts";
import { isFakeQuantize } from "../quantizers/fake-quantize.ts";

/** A layer's weights and the axis of them that the flattened elements are summed over. */
interface SummedWeight {
  readonly value: Value;
  readonly axis: number;
}

/** The network without the Transposes that only dense layers see, by way of a Reshape or Flatten; others stay. */
export function withFlattensInOrder(network: QuantizedNetwork): QuantizedNetwork {
  const { graph } = network;
  const madeBy = producers(graph);
  const search = new WeightSearch(network, madeBy);
  const tensors = new Map(network.parameters.map(({ name, value }) => [name, value]));
  const sources = new Map<Node, Value>();
  for (const node of graph.nodes) {
    const [read] = node.inputs;
    const [flat] = node.outputs;
    const turn = read === undefined ? undefined : madeBy.get(read);
    if (turn === undefined || flat === undefined || !isOperator(transposeOperator, turn) || !isFlatten(node)) continue;
    const [source] = turn.inputs;
    if (source === undefined) continue;
    const { shape } = source.type;
    const perm = permutationOf(turn, shape.length);
    const weights = perm[0] === 0 ? search.behind(flat) : undefined;
    if (weights === undefined) continue;
    const placeOf = transposedIndex(
      shape.slice(1),
      perm.slice(1).map((axis) => axis - 1),
    );
    const places = Int32Array.from({ length: elementCount(shape.slice(1)) }, (_, i) => placeOf(i));
    for (const { value, axis } of weights) {
      const tensor = tensors.get(value.name);
      if (tensor !== undefined) tensors.set(value.name, reordered(tensor, axis, places));
    }
    sources.set(node, source);
  }
  if (sources.size === 0) return network;
  const builder = newBuilder(graph.name);
  const map: ValueMap = new Map(graph.inputs.map((input) => [input, builder.input(input.name, input.type)]));
  copyNodes(graph, builder, map, (node, inputs) => {
    const source = sources.get(node);
    if (source === undefined) return undefined;
    const { op, name, attributes } = node;
    return builder.node(op, [mapped(map, source, node), ...inputs.slice(1)], attributes, { name });
  });
  for (const { name, value } of graph.outputs) builder.output(name, mapped(map, value));
  const parameters = network.parameters.map((each) => ({ ...each, value: tensors.get(each.name) ?? each.value }));
  return { ...network, graph: builder.finish(), parameters };
}

/** Whether a node makes one row of every sample. */
function isFlatten(node: Node): boolean {
  const {
    inputs: [x],
    outputs: [y],
  } = node;
  if (!isOperator(reshapeOperator, node) && !isOperator(flattenOperator, node)) return false;
  if (x === undefined || y === undefined) return false;
  return y.type.shape.length === 2 && y.type.shape[0] === x.type.shape[0];
}

class WeightSearch {
  readonly #madeBy: ReadonlyMap<Value, Node>;
  readonly #consumers: ReadonlyMap<Value, readonly Node[]>;
  readonly #outputs: ReadonlySet<Value>;
  readonly #parameters: ReadonlySet<string>;
  readonly #channelAxes: ReadonlyMap<string, number | undefined>;

  constructor({ graph, parameters, sites }: QuantizedNetwork, madeBy: ReadonlyMap<Value, Node>) {
    this.#madeBy = madeBy;
    this.#consumers = consumers(graph);
    this.#outputs = new Set(graph.outputs.map(({ value }) => value));
    this.#parameters = new Set(parameters.map(({ name }) => name));
    this.#channelAxes = new Map(sites.map(({ id, spec }) => [id, spec.channelAxis]));
  }

  /** The weights that alone decide what the order of a row's elements means; undefined where something else does too. */
  behind(row: Value): readonly SummedWeight[] | undefined {
    if (this.#outputs.has(row)) return undefined;
    const found: SummedWeight[] = [];
    for (const node of this.#consumers.get(row) ?? []) {
      const weights = this.#through(node, row);
      if (weights === undefined) return undefined;
      found.push(...weights);
    }
    return found;
  }

  #through(node: Node, row: Value): readonly SummedWeight[] | undefined {
    const [first] = node.inputs;
    const [output] = node.outputs;
    if (first !== row || output === undefined) return undefined;
    const { layer, passesCodes } = traitsOf(node);
    const isWhole = isFakeQuantize(node) && this.#channelAxes.get(node.name) === undefined;
    if (isWhole || passesCodes === "each") return this.behind(output);
    const weight = layer === undefined ? undefined : node.inputs[layer.weight];
    if (layer === undefined || weight === undefined || weight.type.shape.length !== 2) return undefined;
    const { data, weight: axis } = layer.summedAxes(node);
    if (data !== 1) return undefined;
    const value = this.#parameterOf(weight, axis);
    return value === undefined ? undefined : [{ value, axis }];
  }

  /** The parameter behind a layer's weights where nothing else reads it and its quantizer does not tell rows apart. */
  #parameterOf(weight: Value, axis: number): Value | undefined {
    const weightConsumers = this.#consumers.get(weight) ?? [];
    if (weightConsumers.length !== 1) return undefined;
    if (this.#parameters.has(weight.name)) return weight;
    const quantizer = this.#madeBy.get(weight);
    const [input] = quantizer?.inputs ?? [];
    if (quantizer === undefined || input === undefined || !isFakeQuantize(quantizer)) return undefined;
    const isOwn = this.#consumers.get(input)?.length === 1 && this.#parameters.has(input.name);
    return isOwn && this.#channelAxes.get(quantizer.name) !== axis ? input : undefined;
  }
}

/** A matrix with index i of an axis moved to `places[i]`. */
function reordered(tensor: Tensor, axis: number, places: Int32Array): Tensor {
  const [rows = 0, columns = 0] = tensor.shape;
  const from = float32Data(tensor);
  const values = new Float32Array(from.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const to = axis === 0 ? (places[row] ?? 0) * columns + column : row * columns + (places[column] ?? 0);
      values[to] = from[row * columns + column] ?? 0;
    }
  }
  return float32Tensor(tensor.shape, values);
}
