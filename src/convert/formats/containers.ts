/** The ONNX element types that hold the codes of activations and weights. */
import { UnsupportedError } from "../../errors.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { makeTensor, packBits } from "../../ir/tensor.ts";
import type { DType } from "../../ir/types.ts";
import { cast } from "../../ops/families/cast.ts";
import { multiply } from "../../ops/families/elementwise.ts";
import type { IntegerWeight, TensorForm } from "../integer-network.ts";

/** An activation's container: the code q is stored as q + offset. */
export interface Container {
  readonly dtype: "uint8" | "int32" | "float32";
  readonly offset: number;
}

/**
 * uint8 for codes, moved up where they can be negative, and by one more where that makes the stored zero point even;
 * int32 for wide codes. ONNX Runtime's QLinearAdd adds the zero point before it rounds, which turns ties of t into ties
 * of t + z: they go to the same code only where z is even.
 *
 * @throws UnsupportedError above 8 bits.
 */
export function containerOf(form: TensorForm, name: string): Container {
  if (form.kind === "float" || form.kind === "quotient") return { dtype: "float32", offset: 0 };
  if (form.kind !== "codes") return { dtype: "int32", offset: 0 };
  const least = form.low < 0 ? -form.low : 0;
  const even = least + ((form.zeroPoint + least) & 1);
  const offset = form.high + even <= 255 ? even : least;
  if (form.high + offset <= 255) return { dtype: "uint8", offset };
  throw new UnsupportedError(`codes ${form.low}..${form.high} do not fit eight bits`, {
    where: `"${name}"`,
    remedy: "The integer convolutions of ONNX take up to 8 bits: give this activation no more.",
  });
}

/** Element types that weights are stored in. */
export type StoredType = "int2" | "uint2" | "int4" | "uint4" | "int8";

/** The smallest element type of ONNX that holds a weight's grid; 3-bit codes go into the 4-bit one. */
export function storedType({ low, high, name }: Pick<IntegerWeight, "low" | "high" | "name">): StoredType {
  if (low >= 0 && high <= 3) return "uint2";
  if (low >= -2 && high <= 1) return "int2";
  if (low >= 0 && high <= 15) return "uint4";
  if (low >= -8 && high <= 7) return "int4";
  if (low >= -128 && high <= 127) return "int8";
  throw new UnsupportedError(`codes ${low}..${high} do not fit eight bits`, {
    where: `weight "${name}"`,
    remedy: "The integer convolutions of ONNX take up to 8 bits, zero point included: use symmetric weights.",
  });
}

/** Weights as an int8 value of the graph, stored in the smallest type and unpacked by a Cast, which engines fold. */
export function weightValue(
  builder: GraphBuilder,
  weight: IntegerWeight,
  options: { readonly packed: boolean; readonly shift: number; readonly shape?: readonly number[] },
): Value {
  const shape = options.shape ?? weight.shape;
  const dtype: DType = options.packed ? storedType(weight) : "int8";
  const table = options.packed && dtype === "int8" ? indexType(weight) : undefined;
  if (table !== undefined) return throughTable(builder, weight, table, options.shift, shape);
  if (dtype === "int8") {
    const codes = Int8Array.from(weight.codes, (code) => code * 2 ** options.shift);
    return builder.constant(makeTensor("int8", shape, codes), weight.name);
  }
  const stored = builder.constant(makeTensor(dtype, shape, packBits(weight.codes, dtype)), weight.name);
  if (options.shift === 0) return cast(builder, stored, "int8");
  return cast(builder, multiply(builder, cast(builder, stored, "int32"), 2 ** options.shift), "int8");
}

/**
 * The type for the place of a code among its levels, where that is smaller than the code itself. A channel that became
 * a constant has the code 0, which not every grid has: such a weight stays in int8.
 */
function indexType({ levels, codes }: IntegerWeight): "uint2" | "uint4" | undefined {
  const known = new Set(levels);
  if (codes.some((code) => !known.has(code))) return undefined;
  return levels.length <= 4 ? "uint2" : levels.length <= 16 ? "uint4" : undefined;
}

/** Codes with gaps (additive powers of two, odd integers): stored as their places in a table of levels. */
function throughTable(
  builder: GraphBuilder,
  weight: IntegerWeight,
  dtype: "uint2" | "uint4",
  shift: number,
  shape: readonly number[],
): Value {
  const places = new Map(weight.levels.map((level, place) => [level, place]));
  const indices = Array.from(weight.codes, (code) => places.get(code) ?? 0);
  const levels = Int8Array.from(weight.levels, (level) => level * 2 ** shift);
  const table = builder.constant(makeTensor("int8", [levels.length], levels), `${weight.name}/levels`);
  const stored = builder.constant(makeTensor(dtype, shape, packBits(indices, dtype)), weight.name);
  return builder.one("Gather", [table, cast(builder, stored, "int32")], { axis: 0 });
}
