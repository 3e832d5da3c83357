/** The bytes of a converted network: stored in packed bits, as it lies in a file, and as the float one did. */

import { layerBytes } from "../compile/layer-bytes.ts";
import type { Network } from "../ir/network.ts";
import { bitsPerElement } from "../ir/tensor.ts";
import { storedType } from "./formats/containers.ts";
import { fitsByte, halved } from "./formats/int/parts.ts";
import {
  bitsFor,
  type IntegerLayer,
  type IntegerNetwork,
  type IntegerOperation,
  type IntegerWeight,
  isIntegerLayer,
  type Term,
  tensorById,
} from "./integer-network.ts";
import { sameOperations } from "./same-operations.ts";

/** The stored size of a layer's weights. */
export interface LayerSize {
  readonly name: string;
  readonly weights: number;
  /** Bits of one weight: of its grid, and of the container that the ONNX file has for it. */
  readonly bits: number;
  readonly containerBits: number;
  readonly packedBytes: number;
}

/** The stored size of an integer network. */
export interface StoredSize {
  readonly layers: readonly LayerSize[];
  /** Weights, rows of embeddings and constants in exactly their bits, and every multiplier, bias and offset in four bytes, those of several time steps once. */
  readonly packedBytes: number;
  /** The same with weights in the containers of the ONNX file. */
  readonly containerBytes: number;
  /** Every float parameter of the float network in four bytes: weights, biases and BatchNormalization. */
  readonly floatBytes: number;
  /** packedBytes / floatBytes. */
  readonly ratio: number;
}

/** @param floatElements Number of float32 elements that the float network stores. */
export function storedSize(network: IntegerNetwork, floatElements: number): StoredSize {
  const layers = withOwnWeights(network.operations.filter(isIntegerLayer)).map(layerSize);
  const same = sameOperations(network);
  const rest = network.operations
    .filter(({ output }) => same.get(output) === output)
    .reduce((sum, operation) => sum + parameterBytes(network, operation), 0);
  const sum = (bytes: (layer: LayerSize) => number): number =>
    layers.reduce((total, layer) => total + bytes(layer), rest);
  const packedBytes = sum((layer) => layer.packedBytes);
  const floatBytes = 4 * floatElements;
  return {
    layers,
    packedBytes,
    containerBytes: sum((layer) => layerBytes({ weights: layer.weights, bits: layer.containerBits })),
    floatBytes,
    ratio: packedBytes / floatBytes,
  };
}

/** The layers without those that read the weights of an earlier one, which are stored once. */
function withOwnWeights(layers: readonly IntegerLayer[]): readonly IntegerLayer[] {
  return layers.filter((layer, index) => layers.findIndex(({ weight }) => weight === layer.weight) === index);
}

function layerSize({ weight, name }: IntegerLayer): LayerSize {
  const bits = Math.ceil(Math.log2(weight.levels.length));
  const weights = weight.codes.length;
  return { name, weights, bits, containerBits: containerBits(weight), packedBytes: layerBytes({ weights, bits }) };
}

/** Bits of a weight in the ONNX file: of its code, or of its place in the table of codes; of two parts where codes have nine bits. */
function containerBits(weight: IntegerWeight): number {
  if (!fitsByte(weight)) {
    const { halves, rest } = halved(weight);
    return fitsByte(halves) ? bitsPerElement(storedType(halves)) + bitsPerElement(storedType(rest)) : 32;
  }
  const table = weight.levels.length <= 4 ? 2 : weight.levels.length <= 16 ? 4 : 8;
  return Math.min(bitsPerElement(storedType(weight)), table);
}

/** Bytes of what an operation without weights keeps: factors, biases, offsets; rows of embeddings and constants in their bits. */
function parameterBytes(network: IntegerNetwork, operation: IntegerOperation): number {
  const codes =
    operation.op === "GatherRows" ? operation.rows : operation.op === "ConstantCodes" ? operation.codes : [];
  if (codes.length > 1) {
    return layerBytes({ weights: codes.length, bits: bitsFor(tensorById(network, operation.output).form) });
  }
  if (!("terms" in operation)) return 0;
  const ofTerm = (term: Term): number => 4 * (term.gains.length + (term.bias?.length ?? 0));
  return operation.terms.reduce((sum, term) => sum + ofTerm(term), 4 * (operation.offset?.length ?? 0));
}

/** Float32 numbers that the float network stores: everything but what quantizers keep. */
export function floatElements(network: Network): number {
  return network.parameters
    .filter(({ role }) => role !== "quantizer" && role !== "observer")
    .reduce((sum, { value }) => sum + value.data.length, 0);
}
