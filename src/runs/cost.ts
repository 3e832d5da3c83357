/**
 * What a quantized network costs to run and to keep, read off its graph.
 *
 * Bit operations of a layer are its multiply-accumulates for one sample times the bits of its weights times the bits of
 * its input (BOPs, as in Baskin et al., "UNIQ", 2018, without the accumulator's term). Bits are those that the codes
 * need, ceil(log2(levels)), not those that were asked for; a tensor that is not quantized has 32.
 *
 * Size is what an integer model stores: the packed codes, and for each output channel a multiplier and a bias of four
 * bytes each, into which batch normalization and all scales fold. A float layer stores four bytes for each weight and
 * for each channel's bias.
 */
import { type Graph, intAttribute, type Node, producers, type Value } from "../ir/graph.ts";
import { dataInputs, type Network } from "../ir/network.ts";
import { elementCount } from "../ir/types.ts";
import { isFakeQuantize, specOf } from "../quantizers/fake-quantize.ts";

/** Bits and levels of one operand of a layer. */
export interface OperandCost {
  readonly bits: number;
  /** null in float. */
  readonly levels: number | null;
}

/** One layer: a Conv, ConvTranspose, Gemm or MatMul with a weight. */
export interface LayerCost {
  readonly name: string;
  readonly operator: string;
  /** Multiply-accumulates for one sample. */
  readonly macs: number;
  readonly weights: number;
  readonly weight: OperandCost;
  readonly activation: OperandCost;
  readonly bitOperations: number;
  readonly bytes: number;
}

/** The sums over all layers. */
export interface NetworkCost {
  readonly macs: number;
  readonly bitOperations: number;
  readonly bytes: number;
  readonly layers: readonly LayerCost[];
}

const floatBits = 32;
/** Operators that pass codes on without new arithmetic between the codes of different layers. */
const transparent = new Set([
  "Reshape",
  "Flatten",
  "Transpose",
  "Identity",
  "MaxPool",
  "AveragePool",
  "GlobalAveragePool",
  "Relu",
  "Dropout",
]);

/** The cost of a network, quantized or not. */
export function networkCost(network: Network): NetworkCost {
  const { graph } = network;
  const made = producers(graph);
  const batch = dataInputs(network)[0]?.type.shape[0] ?? 1;
  const layers = graph.nodes.flatMap((node) => layerCost(node, graph, made, batch) ?? []);
  const sum = (pick: (layer: LayerCost) => number) => layers.reduce((total, layer) => total + pick(layer), 0);
  return {
    macs: sum((layer) => layer.macs),
    bitOperations: sum((layer) => layer.bitOperations),
    bytes: sum((layer) => layer.bytes),
    layers,
  };
}

function layerCost(node: Node, graph: Graph, made: ReadonlyMap<Value, Node>, batch: number): LayerCost | undefined {
  const [x, w] = node.inputs;
  const [y] = node.outputs;
  if (x === undefined || w === undefined || y === undefined) return undefined;
  const reduced = reductionOf(node, x, w);
  if (reduced === undefined || !isWeight(w, graph, made)) return undefined;
  const weights = elementCount(w.type.shape);
  const outputs = node.op === "ConvTranspose" ? x : y;
  const macs = (elementCount(outputs.type.shape) * reduced.sum) / batch;
  const weight = operandCost(w, made);
  const activation = operandCost(x, made);
  return {
    name: node.name,
    operator: node.op,
    macs,
    weights,
    weight,
    activation,
    bitOperations: macs * weight.bits * activation.bits,
    bytes: Math.ceil((weights * weight.bits) / 8) + reduced.channels * (weight.levels === null ? 4 : 8),
  };
}

/** Products that are summed for each output (for ConvTranspose: that each input takes part in), and output channels. */
function reductionOf(node: Node, x: Value, w: Value): { readonly sum: number; readonly channels: number } | undefined {
  const [first = 1, second = 1, ...kernel] = w.type.shape;
  const taps = elementCount(kernel);
  switch (node.op) {
    case "Conv":
      return { sum: second * taps, channels: first };
    case "ConvTranspose":
      return { sum: second * taps, channels: second * intAttribute(node, "group", 1) };
    case "Gemm":
      return node.attributes.transB === 1 ? { sum: second, channels: first } : { sum: first, channels: second };
    case "MatMul":
      return { sum: x.type.shape.at(-1) ?? 1, channels: w.type.shape.at(-1) ?? 1 };
    default:
      return undefined;
  }
}

/** Whether a value is a parameter or a constant, behind its quantizer and changes of shape. */
function isWeight(value: Value, graph: Graph, made: ReadonlyMap<Value, Node>): boolean {
  let current: Value | undefined = value;
  for (let node = made.get(value); node !== undefined; node = current === undefined ? undefined : made.get(current)) {
    if (!isFakeQuantize(node) && !transparent.has(node.op)) return false;
    current = node.inputs[0];
  }
  return current !== undefined && (graph.constants.has(current) || graph.inputs.includes(current));
}

/** The bits that reach a layer's operand: those of the nearest quantizer behind operators that keep the codes. */
function operandCost(value: Value, made: ReadonlyMap<Value, Node>): OperandCost {
  let current: Value | undefined = value;
  while (current !== undefined) {
    const node = made.get(current);
    if (node === undefined) break;
    if (isFakeQuantize(node)) {
      const { quantMin, quantMax } = specOf(node);
      const levels = quantMax - quantMin + 1;
      return { bits: Math.max(1, Math.ceil(Math.log2(levels))), levels };
    }
    if (!transparent.has(node.op)) break;
    current = node.inputs[0];
  }
  return { bits: floatBits, levels: null };
}
