/**
 * The integer network: the result of a conversion, as data. docs/integer.md defines what each operation computes.
 *
 * Tensors are numbered by their place in the list and have one producer. Shapes are for a batch of one; every operation
 * leaves the batch alone.
 */
import type { InputPart } from "../compile/build/input.ts";
import { GraphError } from "../errors.ts";
import type { Network } from "../ir/network.ts";
import type { DType, Shape } from "../ir/types.ts";
import type {
  GatherRows,
  IntegerMatMul,
  NormalizeCodes,
  Operation,
  ReadIntegers,
  SoftmaxCodes,
} from "./token-operations.ts";

/** Fractional bits of a quotient in fixed point. */
export const quotientBits = 24;

/** The integers that a tensor holds, and the numbers that they represent. */
export interface TensorForm {
  /**
   * "codes": the codes of a quantizer, (q − zeroPoint)·scale. "wide": int32 codes that the conversion chose.
   * "accumulator": sums of products, without a scale of their own. "quotient": float32 numbers that a division of integers gives, or
   * multiples of 2^−{@link quotientBits} in fixed point. "integers": numbers that enter the network, as those of tokens. "float": real
   * numbers, the network's outputs only.
   */
  readonly kind: "codes" | "wide" | "accumulator" | "quotient" | "integers" | "float";
  /** Bounds that every element keeps (of codes: their quantizer's range); for floats they are infinite. */
  readonly low: number;
  readonly high: number;
  /** Codes only; 1 otherwise. A float32. */
  readonly scale: number;
  /** Codes only; 0 otherwise. */
  readonly zeroPoint: number;
  /** Codes only: what the zero point's code stands for, where that is not 0 (LSQ+). */
  readonly offset?: number;
  /** The codes that there are, ascending, where they are not all integers of the range (additive powers of two). */
  readonly levels?: readonly number[];
}

/** A tensor of an integer network. */
export interface IntegerTensor {
  readonly id: number;
  /** The quantizer site, or the node whose result it is. */
  readonly name: string;
  readonly shape: Shape;
  readonly form: TensorForm;
}

/** Integer weights: centred codes, so that they stand for code·scale. */
export interface IntegerWeight {
  readonly name: string;
  /** [K, C/group, ...kernel], or [K, C] for a fully connected layer. */
  readonly shape: Shape;
  readonly codes: Int32Array;
  /** Bounds of the codes' grid, not only of those that occur. */
  readonly low: number;
  readonly high: number;
  /** Every code of the grid, ascending; as many as the requested bits allow. */
  readonly levels: readonly number[];
  /** Real value of one code: one, or one for each output channel. */
  readonly scales: Float32Array;
}

/** Kernel, strides, dilations and padding of a window. */
export interface WindowGeometry {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begin of each spatial axis, then end of each. */
  readonly pads: readonly number[];
}

/** Data → codes. */
export interface QuantizeInput extends Operation {
  readonly op: "QuantizeInput";
  /** The first of its elements in a row of several inputs; absent: 0. */
  readonly start?: number;
  /** f32(1/scale). */
  readonly reciprocal: number;
  /** x = f32(f32(data·factor) + offset), one of each for each channel; absent: x is the data, float32. */
  readonly normalization?: { readonly factor: Float32Array; readonly offset: Float32Array };
}

/**
 * Codes that do not depend on the data: what a layer's weights are multiplied with where its input's codes have an offset, and
 * parameters that are added or multiplied element by element.
 */
export interface ConstantCodes extends Operation {
  readonly op: "ConstantCodes";
  /** One code that is everywhere, or one for each element. */
  readonly codes: Int32Array;
}

/** acc = Σ (q − z)·w over a window; z is the zero point of the input's form. */
export interface IntegerConv extends Operation, WindowGeometry {
  readonly op: "IntegerConv";
  readonly input: number;
  readonly weight: IntegerWeight;
  readonly group: number;
}

/** acc[…, k] = Σ_c (q[…, c] − z)·w[k, c]. */
export interface IntegerGemm extends Operation {
  readonly op: "IntegerGemm";
  readonly input: number;
  readonly weight: IntegerWeight;
}

/** acc = Σ (q − z) over a window, padding adding nothing. */
export interface SumPool extends Operation, WindowGeometry {
  readonly op: "SumPool";
  readonly input: number;
}

/** The weights that the outputs of an axis give to its inputs: `taps` places and weights for each output. */
export interface AxisWeights {
  readonly taps: number;
  readonly places: Int32Array;
  readonly weights: Int32Array;
}

/** acc = Σ (q − z)·w₂·w₃ of the neighbours of each place: interpolation with integer weights along the two axes after the channels. */
export interface ResampleSums extends Operation {
  readonly op: "ResampleSums";
  readonly input: number;
  readonly axes: readonly [AxisWeights, AxisWeights];
}

/** The largest code of each window; padding is never the largest. */
export interface MaxPoolCodes extends Operation, WindowGeometry {
  readonly op: "MaxPoolCodes";
  readonly input: number;
}

/** A summand of a requantization: f32(((tensor − z) << shift) + bias[k]) · m[k]. */
export interface Term {
  readonly input: number;
  readonly shift: number;
  /** One for each channel. */
  readonly bias?: Int32Array;
  /** s_in: the scale of the layer's input, or of the codes themselves. A float32. */
  readonly inputScale: number;
  /** g: one, or one for each channel. For a layer: its weights' scales with everything folded into them. */
  readonly gains: Float32Array;
  /** m itself, in sums of codes alone: a multiple of a power of two, so that no operation of the sum rounds anything. */
  readonly multiplier?: number;
}

/** A sum of terms; `offset`, one for each channel in units of the output's step, comes last. */
interface SumOfTerms extends Operation {
  /** The axis of the channels. */
  readonly axis: number;
  readonly terms: readonly Term[];
  readonly offset?: Float32Array;
}

/** Integers → codes: the one formula of docs/integer.md. */
export interface Requantize extends SumOfTerms {
  readonly op: "Requantize";
  /** Limits of the codes: the quantizer's range, or a part of it where a ReLU or a clip precedes. */
  readonly low: number;
  readonly high: number;
}

/** The same sum with a step of 1 and no rounding: the network's float output. */
export interface Dequantize extends SumOfTerms {
  readonly op: "Dequantize";
}

/** Another shape, the elements in the same order. */
export interface ReshapeCodes extends Operation {
  readonly op: "ReshapeCodes";
  readonly input: number;
}

/** Elements at other places, and padding: y[i, j, …] = x[places[0][i] + places[1][j] + …], or `fill` where one of them is −1. */
export interface MoveCodes extends Operation {
  readonly op: "MoveCodes";
  readonly input: number;
  /** For each axis of the output but the batch. */
  readonly places: readonly Int32Array[];
  /** The code of padding. */
  readonly fill: number;
}

/** y = table[q − low]: a function of one value, from codes to codes, or to real numbers; each channel may have a table of its own. */
export interface TableCodes extends Operation {
  readonly op: "TableCodes";
  readonly input: number;
  /** The lowest code of the input. */
  readonly low: number;
  /** The axis of the channels. */
  readonly axis: number;
  /** How many tables: one, or one for each channel. */
  readonly tables: number;
  /** One number for each code of the input, ascending; one table after another. */
  readonly table: Float64Array;
}

/** y = (q₁ − z₁)·(q₂ − z₂), axes of one element being repeated: exact, in wide codes whose scale is the product of both. */
export interface MultiplyCodes extends Operation {
  readonly op: "MultiplyCodes";
  /** Two tensors with as many axes as the output. */
  readonly inputs: readonly number[];
}

/** The largest or the smallest code at each place, axes of one element being repeated: all inputs have the form of the output. */
export interface ExtremumCodes extends Operation {
  readonly op: "ExtremumCodes";
  readonly of: "largest" | "smallest";
  /** Tensors with as many axes as the output. */
  readonly inputs: readonly number[];
}

/** Concatenation of codes. */
export interface ConcatCodes extends Operation {
  readonly op: "ConcatCodes";
  readonly inputs: readonly number[];
  readonly axis: number;
}

/** An operation of an integer network. */
export type IntegerOperation =
  | QuantizeInput
  | ReadIntegers
  | GatherRows
  | ConstantCodes
  | IntegerConv
  | IntegerGemm
  | SumPool
  | IntegerMatMul
  | SoftmaxCodes
  | NormalizeCodes
  | ResampleSums
  | MaxPoolCodes
  | Requantize
  | Dequantize
  | ReshapeCodes
  | MoveCodes
  | TableCodes
  | MultiplyCodes
  | ExtremumCodes
  | ConcatCodes;

/** An operation with weights. */
export type IntegerLayer = IntegerConv | IntegerGemm;

/** An operation that leaves sums in an accumulator: no format stores them, what reads them computes them. */
export type Summing = IntegerLayer | SumPool | ResampleSums | IntegerMatMul;

/** What stays in float behind the last layer. */
export interface FloatTail {
  /** The nodes of the float network that were not converted; its data inputs are outputs of the integer network, by name. */
  readonly network: Network;
  /** The nodes that have no integer form; what only moves or limits elements around them is not among them. */
  readonly refused: readonly { readonly op: string; readonly name: string }[];
  /** The outputs of the whole in order: those of the integer network itself (`isDirect`), and those of the tail. */
  readonly results: readonly { readonly name: string; readonly isDirect: boolean }[];
}

/** Something that the conversion decided and that a reader of the report should know. */
export interface ConversionNote {
  readonly kind:
    | "added quantizer"
    | "channels first"
    | "wide codes"
    | "widened simulation"
    | "constant channels"
    | "float tail";
  readonly where: string;
  readonly message: string;
}

/** One of the float network's inputs within the row of a sample, with its type there. */
export interface NetworkInputPart extends InputPart {
  readonly dtype: DType;
}

/** The data input: its name in the float network, and the shape of one sample. */
export interface NetworkInput {
  readonly name: string;
  readonly sampleShape: Shape;
  readonly dtype: "uint8" | "float32" | "int32";
  /** What lies in a sample, where that is whole numbers or several inputs. */
  readonly parts?: readonly NetworkInputPart[];
}

/** A network of integers; docs/integer.md defines its arithmetic. */
export interface IntegerNetwork {
  readonly name: string;
  readonly input: NetworkInput;
  readonly tensors: readonly IntegerTensor[];
  /** In an order in which every tensor is made before it is used. */
  readonly operations: readonly IntegerOperation[];
  /** The real numbers at the end: the outputs of the float network, or what its float tail reads. */
  readonly outputs: readonly { readonly name: string; readonly tensor: number }[];
  /** Absent where nothing stays in float. */
  readonly tail?: FloatTail;
  readonly notes: readonly ConversionNote[];
}

/** The tensor of this number. @throws GraphError when there is none. */
export function tensorById(network: Pick<IntegerNetwork, "name" | "tensors">, id: number): IntegerTensor {
  const tensor = network.tensors[id];
  if (tensor === undefined)
    throw new GraphError(`there is no tensor ${id}`, { where: `integer network "${network.name}"` });
  return tensor;
}

/** Whether an operation has weights. */
export function isIntegerLayer(operation: IntegerOperation): operation is IntegerLayer {
  return operation.op === "IntegerConv" || operation.op === "IntegerGemm";
}

/** Whether an operation leaves sums in an accumulator. */
export function isSumming(operation: IntegerOperation): operation is Summing {
  const { op } = operation;
  return isIntegerLayer(operation) || op === "SumPool" || op === "ResampleSums" || op === "IntegerMatMul";
}

/** Returns the operation that makes a tensor; undefined where none does. */
export function producerOf(
  { operations }: Pick<IntegerNetwork, "operations">,
  id: number,
): IntegerOperation | undefined {
  return operations.find((operation) => operation.output === id);
}

/** Returns the operation whose sums a tensor holds; undefined for a tensor of another kind. */
export function summingProducer(network: Pick<IntegerNetwork, "operations">, id: number): Summing | undefined {
  const producer = producerOf(network, id);
  return producer !== undefined && isSumming(producer) ? producer : undefined;
}

/** The tensors that an operation reads. */
export function inputsOf(operation: IntegerOperation): readonly number[] {
  if ("terms" in operation) return operation.terms.map((term) => term.input);
  if ("inputs" in operation) return operation.inputs;
  return "input" in operation ? [operation.input] : [];
}

/** Returns an operation with other numbers for the tensors that it reads and makes. */
export function renumbered(operation: IntegerOperation, numberOf: (id: number) => number): IntegerOperation {
  const output = numberOf(operation.output);
  if ("terms" in operation) {
    const terms = operation.terms.map((term) => ({ ...term, input: numberOf(term.input) }));
    return { ...operation, output, terms };
  }
  if (operation.op === "IntegerMatMul") {
    return { ...operation, output, inputs: [numberOf(operation.inputs[0]), numberOf(operation.inputs[1])] };
  }
  if (operation.op === "SoftmaxCodes") {
    const [codes, mask] = operation.inputs;
    const inputs = mask === undefined ? ([numberOf(codes)] as const) : ([numberOf(codes), numberOf(mask)] as const);
    return { ...operation, output, inputs };
  }
  if ("inputs" in operation) return { ...operation, output, inputs: operation.inputs.map(numberOf) };
  return "input" in operation ? { ...operation, output, input: numberOf(operation.input) } : { ...operation, output };
}

/** m[k] = f32(f32(s_in·g[k]) / s_out), or the multiplier that the conversion chose: the factors of a term. */
export function multipliers(
  term: Pick<Term, "inputScale" | "gains" | "multiplier">,
  outputScale: number,
): Float32Array {
  if (term.multiplier !== undefined) return Float32Array.of(term.multiplier);
  return term.gains.map((gain) => Math.fround(Math.fround(term.inputScale * gain) / outputScale));
}

/** Bits that hold every integer of a range, in two's complement where the lowest is negative. */
export function bitsFor({ low, high }: { readonly low: number; readonly high: number }): number {
  const forHigh = Math.ceil(Math.log2(Math.max(high, 0) + 1));
  return low >= 0 ? Math.max(1, forHigh) : 1 + Math.max(Math.ceil(Math.log2(-low)), forHigh);
}
