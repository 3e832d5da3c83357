/**
 * What a quantized network costs to run and to keep, read off its graph.
 *
 * Bit operations of a layer are its multiply-accumulates for one sample times the bits of its weights times the bits of
 * its input (BOPs, as in Baskin et al., "UNIQ", 2018, without the accumulator's term). Bits are those that the codes
 * need, ceil(log2(levels)), not the requested ones; a tensor that is not quantized has 32.
 *
 * Size is what an integer model stores: the packed codes, and for each output channel a multiplier and a bias of four
 * bytes each, into which batch normalization and all scales fold. A float layer stores four bytes for each weight and
 * for each channel's bias.
 */
import { layerBytes } from "../compile/layer-bytes.ts";
import { groupedOverTime, macsOf } from "../compile/layers.ts";
import { traitsOf } from "../compile/registry.ts";
import { type Node, producers, type Value } from "../ir/graph.ts";
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
  /** Estimated bytes in an integer model; conversion reports the exact size. */
  readonly bytes: number;
}

/** The sums over all layers with weights; products of two activations and recurrent layers are not among them. */
export interface NetworkCost {
  readonly macs: number;
  readonly bitOperations: number;
  readonly bytes: number;
  readonly layers: readonly LayerCost[];
}

/** Properties of the layers of a network's graph. */
interface Subject {
  readonly madeBy: ReadonlyMap<Value, Node>;
  /** Parameters and constants. */
  readonly stored: ReadonlySet<Value>;
  readonly batch: number;
}

const floatBits = 32;

/** The cost of a network, quantized or not. */
export function networkCost(network: Network): NetworkCost {
  const { graph } = network;
  const data = dataInputs(network);
  const subject = {
    madeBy: producers(graph),
    stored: new Set([...graph.constants.keys(), ...graph.inputs.filter((input) => !data.includes(input))]),
    batch: data[0]?.type.shape[0] ?? 1,
  };
  const layers = groupedOverTime(graph.nodes).flatMap((steps) => layerCost(steps, subject) ?? []);
  const sum = (pick: (layer: LayerCost) => number) => layers.reduce((total, layer) => total + pick(layer), 0);
  return {
    macs: sum((layer) => layer.macs),
    bitOperations: sum((layer) => layer.bitOperations),
    bytes: sum((layer) => layer.bytes),
    layers,
  };
}

function layerCost(steps: readonly [Node, ...Node[]], subject: Subject): LayerCost | undefined {
  const [node] = steps;
  const { layer } = traitsOf(node);
  const [x, w] = [layer?.data, layer?.weight].map((index) => (index === undefined ? undefined : node.inputs[index]));
  if (layer === undefined || x === undefined || w === undefined) return undefined;
  if (!isWeight(w, subject)) return undefined;
  const weights = elementCount(w.type.shape);
  const macs = (macsOf(node) * steps.length) / subject.batch;
  const weight = operandCost(w, subject);
  const activation = operandCost(x, subject);
  const words = layer.outputChannels(node) * (weight.levels === null ? 1 : 2);
  return {
    name: node.name,
    operator: node.op,
    macs,
    weights,
    weight,
    activation,
    bitOperations: macs * weight.bits * activation.bits,
    bytes: layerBytes({ weights, bits: weight.bits, words }),
  };
}

/** Whether a value is a parameter or a constant, behind its quantizer and changes of shape. */
function isWeight(value: Value | undefined, { madeBy, stored }: Subject): boolean {
  for (let current = value; current !== undefined; ) {
    const node = madeBy.get(current);
    if (node === undefined) return stored.has(current);
    if (!isFakeQuantize(node) && traitsOf(node).passesCodes === undefined) return false;
    [current] = node.inputs;
  }
  return false;
}

/** The bits that reach a layer's operand: those of the nearest quantizer behind operators that keep the codes. */
function operandCost(value: Value, { madeBy }: Subject): OperandCost {
  for (let current: Value | undefined = value; current !== undefined; ) {
    const node = madeBy.get(current);
    if (node === undefined) break;
    if (isFakeQuantize(node)) {
      const { quantMin, quantMax } = specOf(node);
      const levels = quantMax - quantMin + 1;
      return { bits: Math.max(1, Math.ceil(Math.log2(levels))), levels };
    }
    if (traitsOf(node).passesCodes === undefined) break;
    [current] = node.inputs;
  }
  return { bits: floatBits, levels: null };
}
