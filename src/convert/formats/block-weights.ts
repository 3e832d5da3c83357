/**
 * Weights in groups as ONNX Runtime's operators read them: MatMulNBits for matrix products, GatherBlockQuantized for embeddings. What
 * the operators unpack, (code − zero point)·scale in float32, is what the simulation computes.
 */

import type { NodeRule } from "../../compile/passes/copy.ts";
import { floatAttribute, intAttribute, intsAttribute } from "../../ir/attributes.ts";
import { type Graph, type GraphBuilder, type Node, producers, type Value } from "../../ir/graph.ts";
import { float32Tensor, makeTensor, packBits, type Tensor } from "../../ir/tensor.ts";
import { isOperator } from "../../ops/definition.ts";
import { add } from "../../ops/families/elementwise.ts";
import { gemmOperator, matmulOperator } from "../../ops/families/matmul.ts";
import { gatherOperator } from "../../ops/families/shape/indexing.ts";
import { transposeOperator } from "../../ops/families/shape/reshaping.ts";
import { type BlockedWeight, gatherOfBlocks, matMulOfBlocks } from "../../ops/internal/block-quantized.ts";
import type { CodedTensor } from "../../quantizers/integers.ts";

const dtypes = { 2: "uint2", 4: "uint4", 8: "uint8" } as const;

/** A weight of [outputs, inputs] in blocks, with its tensors packed. */
export interface PackedBlocks {
  readonly name: string;
  readonly outputs: number;
  readonly inputs: number;
  readonly bits: 2 | 4 | 8;
  readonly blockSize: number;
  /** uint8, the bytes of all codes in order. */
  readonly codes: Uint8Array;
  readonly scales: Tensor;
  /** uint8[outputs, bytes]; absent where every zero point is 2^(bits − 1), which the operators assume. */
  readonly zeroPoints?: Tensor;
}

/**
 * Returns a weight as the operators want it; undefined where its groups or its grid are not theirs.
 *
 * @param groupSize Elements of a group, which are runs along the last of two axes.
 */
export function packedBlocks(name: string, coded: CodedTensor, groupSize: number): PackedBlocks | undefined {
  const { grid, shape, codes } = coded;
  const [outputs = 0, inputs = 0] = shape;
  const count = grid.codes.length;
  const bits = count <= 4 ? 2 : count <= 16 ? 4 : 8;
  const [lowest = 0] = grid.codes;
  const isPowerOfTwo = groupSize >= 16 && Number.isInteger(Math.log2(groupSize));
  const isEven = grid.codes.every((code, i) => code === lowest + i);
  if (shape.length !== 2 || !isPowerOfTwo || inputs % groupSize !== 0 || !isEven || count > 256) return undefined;
  const zeroPoints = grid.units.map(({ zeroPoint }) => zeroPoint - lowest);
  const areStorable = zeroPoints.every((each) => Number.isInteger(each) && each >= 0 && each < 2 ** bits);
  if (!areStorable || grid.units.some(({ offset }) => offset !== 0)) return undefined;
  const blocks = inputs / groupSize;
  return {
    name,
    outputs,
    inputs,
    bits,
    blockSize: groupSize,
    codes: packed(
      Uint8Array.from(codes, (code) => code - lowest),
      bits,
    ),
    scales: float32Tensor(
      [outputs, blocks],
      grid.units.map(({ scale }) => scale),
    ),
    ...(zeroPoints.every((each) => each === 2 ** (bits - 1))
      ? {}
      : { zeroPoints: inWholeBytes(zeroPoints, { outputs, blocks, bits }) }),
  };
}

function packed(codes: Uint8Array, bits: 2 | 4 | 8): Uint8Array {
  const dtype = dtypes[bits];
  return dtype === "uint8" ? codes : packBits(codes, dtype);
}

/** The zero points of each output begin a byte. */
function inWholeBytes(
  zeroPoints: readonly number[],
  { outputs, blocks, bits }: { readonly outputs: number; readonly blocks: number; readonly bits: 2 | 4 | 8 },
): Tensor {
  const bytes = Math.ceil((blocks * bits) / 8);
  const padded = new Uint8Array(outputs * bytes * (8 / bits));
  const row = bytes * (8 / bits);
  zeroPoints.forEach((each, i) => {
    padded[Math.floor(i / blocks) * row + (i % blocks)] = each;
  });
  return makeTensor("uint8", [outputs, bytes], packed(padded, bits));
}

/** Returns the bytes that a weight takes in the file. */
export function bytesOfBlocks({ codes, scales, zeroPoints }: PackedBlocks): number {
  return codes.length + 4 * scales.data.length + (zeroPoints?.data.length ?? 0);
}

/** Returns the rule that puts the operators in place of matrix products and gathers that read packed weights. */
export function blockRule(packedByName: ReadonlyMap<string, PackedBlocks>) {
  return (graph: Graph, builder: GraphBuilder): NodeRule => {
    const made = producers(graph);
    const weightAt = (value: Value | undefined, isTransposed: boolean): PackedBlocks | undefined => {
      const producer = value === undefined ? undefined : made.get(value);
      if (!isTransposed) return producer === undefined ? packedByName.get(value?.name ?? "") : undefined;
      if (producer === undefined || !isOperator(transposeOperator, producer)) return undefined;
      if (intsAttribute(producer, "perm", [1, 0]).join() !== "1,0") return undefined;
      return weightAt(producer.inputs[0], false);
    };
    return (node, inputs) => inPlaceOf(builder, node, inputs, weightAt);
  };
}

function inPlaceOf(
  b: GraphBuilder,
  node: Node,
  [first, second, third]: readonly (Value | undefined)[],
  weightAt: (value: Value | undefined, isTransposed: boolean) => PackedBlocks | undefined,
): readonly Value[] | undefined {
  if (isOperator(gatherOperator, node)) {
    const weight = intAttribute(node, "axis", 0) === 0 ? weightAt(node.inputs[0], false) : undefined;
    if (weight === undefined || second === undefined) return undefined;
    return [gatherOfBlocks(b, second, constantsOf(b, weight, [weight.outputs, -1]))];
  }
  const isGemm = isOperator(gemmOperator, node);
  if (first === undefined || (!isGemm && !isOperator(matmulOperator, node))) return undefined;
  const isPlain = ["alpha", "beta"].every((name) => floatAttribute(node, name, 1) === 1);
  if (!isPlain || intAttribute(node, "transA", 0) !== 0) return undefined;
  const weight = weightAt(node.inputs[1], !(isGemm && intAttribute(node, "transB", 0) === 1));
  if (weight === undefined) return undefined;
  const blocks = weight.inputs / weight.blockSize;
  const product = matMulOfBlocks(b, first, constantsOf(b, weight, [weight.outputs, blocks, -1]), weight.outputs);
  return [third === undefined ? product : add(b, product, third)];
}

/** The constants of a weight; one size of the shape of its codes is what is left of their bytes. */
function constantsOf(b: GraphBuilder, weight: PackedBlocks, shape: readonly number[]): BlockedWeight {
  const { name, bits, blockSize, codes, scales, zeroPoints } = weight;
  const rest = codes.length / shape.reduce((product, size) => (size === -1 ? product : product * size), 1);
  const sizes = shape.map((size) => (size === -1 ? rest : size));
  return {
    bits,
    blockSize,
    codes: b.constant(makeTensor("uint8", sizes, codes), name),
    scales: b.constant(scales, `${name}/scale`),
    zeroPoints: zeroPoints && b.constant(zeroPoints, `${name}/zero_point`),
  };
}
