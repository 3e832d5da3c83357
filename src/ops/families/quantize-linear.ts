/**
 * QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear, for graphs that run on integers.
 *
 * They have no gradient here: what passes through a rounding in training is a quantizer's decision (see quantizers/).
 */

import { intAttribute } from "../../ir/attributes.ts";
import type { GraphBuilder, OperatorCall, Value } from "../../ir/graph.ts";
import type { DType, TensorType } from "../../ir/types.ts";
import { dtypeFromOnnx, dtypeToOnnx } from "../../onnx/wire/proto.ts";
import { at, axisOf } from "../build/operands.ts";
import { type OperatorDefinition, requiredInput, typeError } from "../definition.ts";

/** Zero point and axis of a QuantizeLinear. */
export interface QuantizeLinearOptions {
  readonly zeroPoint?: Value | undefined;
  /** The axis of a scale per channel; default 1. */
  readonly axis?: number;
  /** The element type of the codes when there is no zero point; default uint8. */
  readonly dtype?: DType;
}

/** round(x / scale) + zero point, halves to even, saturated to the element type of the codes. */
export function quantizeLinear(b: GraphBuilder, x: Value, scale: Value, options: QuantizeLinearOptions = {}): Value {
  const { zeroPoint, axis = 1, dtype } = options;
  return b.one("QuantizeLinear", zeroPoint === undefined ? [x, scale] : [x, scale, zeroPoint], {
    ...(scale.type.shape.length === 0 ? {} : { axis }),
    ...(zeroPoint === undefined && dtype !== undefined ? { output_dtype: dtypeToOnnx(dtype) } : {}),
  });
}

/** Zero point and axis of a DequantizeLinear. */
export interface DequantizeLinearOptions {
  readonly zeroPoint?: Value | undefined;
  /** The axis of a scale per channel; default 1. */
  readonly axis?: number;
}

/** (x − zero point) · scale */
export function dequantizeLinear(
  b: GraphBuilder,
  x: Value,
  scale: Value,
  options: DequantizeLinearOptions = {},
): Value {
  const { zeroPoint, axis = 1 } = options;
  const attributes = scale.type.shape.length === 0 ? {} : { axis };
  return b.one("DequantizeLinear", zeroPoint === undefined ? [x, scale] : [x, scale, zeroPoint], attributes);
}

/** A scale fits when it is a scalar, one number per element of the axis, or one per block of it. */
function checkScale(call: OperatorCall): void {
  const [x, scale, zeroPoint] = [requiredInput(call, 0), requiredInput(call, 1), call.inputs[2]];
  if (zeroPoint !== undefined && zeroPoint.shape.join() !== scale.shape.join()) {
    throw typeError(call, "the zero point has another shape than the scale");
  }
  if (scale.shape.length === 0 || (scale.shape.length === 1 && scale.shape[0] === 1)) return;
  const axis = axisOf(call, intAttribute(call, "axis", 1), x.shape.length);
  const size = at(x.shape, axis);
  const block = intAttribute(call, "block_size", 0);
  if (block === 0) {
    if (scale.shape.length === 1 && scale.shape[0] === size) return;
    throw typeError(call, `a scale of shape [${scale.shape}] does not fit axis ${axis}`);
  }
  const blocked = x.shape.map((length, i) => (i === axis ? Math.ceil(size / block) : length));
  if (scale.shape.join() !== blocked.join()) throw typeError(call, `scales of blocks should be [${blocked}]`);
}

function quantizeType(call: OperatorCall): readonly TensorType[] {
  checkScale(call);
  const attribute = intAttribute(call, "output_dtype", 0);
  const dtype = call.inputs[2]?.dtype ?? (attribute === 0 ? "uint8" : dtypeFromOnnx(attribute));
  if (dtype === undefined) throw typeError(call, `there is no element type ${attribute}`);
  return [{ dtype, shape: requiredInput(call, 0).shape }];
}

function dequantizeType(call: OperatorCall): readonly TensorType[] {
  checkScale(call);
  const [x, scale, zeroPoint] = [requiredInput(call, 0), requiredInput(call, 1), call.inputs[2]];
  if (zeroPoint !== undefined && zeroPoint.dtype !== x.dtype) {
    throw typeError(call, "the zero point has another element type than the codes");
  }
  return [{ dtype: scale.dtype, shape: x.shape }];
}

/** ONNX Runtime's quantizer writes both in its own domain where the file's opset is too old for their types. */
const aliases = ["com.microsoft"];

/** From numbers to codes. */
export const quantizeLinearOperator: OperatorDefinition = {
  op: "QuantizeLinear",
  domain: "",
  aliases,
  reading: "quantizer",
  infer: quantizeType,
  blocked: "pointwise",
  traits: { comparable: true },
};

/** From codes to numbers. */
export const dequantizeLinearOperator: OperatorDefinition = {
  op: "DequantizeLinear",
  domain: "",
  aliases,
  reading: "quantizer",
  infer: dequantizeType,
  blocked: "pointwise",
  traits: { cheap: true },
};

/** The operators of this file. */
export const quantizeLinearOperators: readonly OperatorDefinition[] = [
  quantizeLinearOperator,
  dequantizeLinearOperator,
  {
    op: "DynamicQuantizeLinear",
    domain: "",
    infer: (call) => [
      { dtype: "uint8", shape: requiredInput(call, 0).shape },
      { dtype: "float32", shape: [] },
      { dtype: "uint8", shape: [] },
    ],
  },
];
