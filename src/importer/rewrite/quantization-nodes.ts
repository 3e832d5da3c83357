/**
 * Quantizers that a file carries: pairs of QuantizeLinear and DequantizeLinear, weights stored as integers, and the Quant
 * nodes of QONNX (Brevitas, QKeras). Each becomes a FakeQuantize node with the file's scale and zero point, so that the
 * network is a quantized one.
 */

import { roundHalfEven } from "../../base/rounding.ts";
import { siteOfTensor, siteParameter } from "../../compile/sites.ts";
import { UnsupportedError } from "../../errors.ts";
import { intAttribute, stringAttribute } from "../../ir/attributes.ts";
import type { Node, Value } from "../../ir/graph.ts";
import { bitsPerElement, float32Tensor, type Tensor, toNumbers } from "../../ir/tensor.ts";
import { type DType, elementCount, type Shape } from "../../ir/types.ts";
import { broadcastIndex } from "../../ops/build/fold/data.ts";
import { isOperator, type OperatorRecord } from "../../ops/definition.ts";
import { clipOperator } from "../../ops/families/activations.ts";
import { dequantizeLinearOperator, quantizeLinearOperator } from "../../ops/families/quantize-linear.ts";
import { bipolarQuantOperator, quantOperator } from "../../ops/file-operators.ts";
import {
  type ConstantSlot,
  type Slot,
  type SourceNode,
  tensorOf,
  typeOf,
  type ValueSlot,
} from "../../ops/rewrite/slots.ts";
import type { QuantizerSpec } from "../../quantizers/definition.ts";
import { fakeQuantize } from "../../quantizers/fake-quantize.ts";
import { binary } from "../../quantizers/methods/binary.ts";
import { uniform } from "../../quantizers/methods/uniform.ts";
import type { Emitter } from "../emitter.ts";
import { parameterName } from "../patterns/stored-names.ts";
import { recordOf } from "../records.ts";

type QuantizerReader = (e: Emitter, node: SourceNode) => Slot;

/** The functions that read the nodes of quantizers, by operator; a QuantizeLinear is a part of the node after it. */
const readers: ReadonlyMap<OperatorRecord, QuantizerReader> = new Map<OperatorRecord, QuantizerReader>([
  [dequantizeLinearOperator, readDequantize],
  [quantOperator, readQuant],
  [bipolarQuantOperator, readBipolar],
]);

/** Returns the replacement of a quantizer node's output; undefined for every other node. */
export function readQuantization(e: Emitter, node: SourceNode): readonly Slot[] | undefined {
  const record = recordOf(node);
  const read = record === undefined ? undefined : readers.get(record);
  return read === undefined ? undefined : [read(e, node)];
}

/** The node's inputs as constants and values of the network. */
function withoutBatchSlots(e: Emitter, node: SourceNode): readonly (ConstantSlot | ValueSlot | undefined)[] {
  return node.inputs.map((slot) => (slot?.kind === "batch" ? e.fixed(slot) : slot));
}

/** Codes, steps and offsets of a quantizer, whatever node stated them. */
interface Statement {
  readonly low: number;
  readonly high: number;
  readonly scale: Tensor;
  readonly zeroPoint: Tensor | undefined;
  readonly axis: number | undefined;
  readonly groupSize?: number;
}

/** The range of an integer element type. */
function codesOf(dtype: DType): { low: number; high: number } | undefined {
  const bits = bitsPerElement(dtype);
  if (bits > 16 || dtype === "bool" || dtype.startsWith("float")) return undefined;
  return dtype.startsWith("u")
    ? { low: 0, high: 2 ** bits - 1 }
    : { low: -(2 ** (bits - 1)), high: 2 ** (bits - 1) - 1 };
}

function readDequantize(e: Emitter, node: SourceNode): Slot {
  const [x, scale, zeroPoint] = withoutBatchSlots(e, node);
  const plain = () => e.one(dequantizeLinearOperator.op, node.inputs, node.attributes);
  const step = tensorOf(scale);
  if (x === undefined || step === undefined || (zeroPoint !== undefined && tensorOf(zeroPoint) === undefined)) {
    return plain();
  }
  const statedAxis = intAttribute(node, "axis", 1);
  const axis =
    elementCount(step.shape) === 1 ? undefined : statedAxis < 0 ? statedAxis + typeOf(x).shape.length : statedAxis;
  const rest = { scale: step, zeroPoint: tensorOf(zeroPoint), axis };
  if (x.kind === "constant") return dequantizeConstant(e, node, x, rest) ?? plain();
  const source = quantizedSource(e, x.value, scale, zeroPoint);
  if (source === undefined) return plain();
  const { value, low, high } = source;
  const weight = e.builder.constantOf(value);
  const statement = { low, high, ...rest };
  if (weight === undefined) return e.slotOf(insert(e, value, "activation", node.name, statement));
  const stored = e.constant(weight, value.name, true);
  return e.slotOf(insertWeight(e, stored, node, statement));
}

/** The float value behind codes: the input of a QuantizeLinear with the same step, perhaps with a Clip after it. */
function quantizedSource(
  e: Emitter,
  codes: Value,
  scale: Slot | undefined,
  zeroPoint: Slot | undefined,
): { value: Value; low: number; high: number } | undefined {
  const range = codesOf(codes.type.dtype);
  let producer: Node | undefined = e.builder.producerOf(codes);
  if (range === undefined || producer === undefined) return undefined;
  let { low, high } = range;
  if (isOperator(clipOperator, producer)) {
    const [inner, bottom, top] = producer.inputs;
    const bound = (value: Value | undefined) => {
      const tensor = value === undefined ? undefined : e.builder.constantOf(value);
      return tensor === undefined ? undefined : toNumbers(tensor)[0];
    };
    low = Math.max(low, bound(bottom) ?? low);
    high = Math.min(high, bound(top) ?? high);
    producer = inner === undefined ? undefined : e.builder.producerOf(inner);
  }
  const [value, step, offset] = producer?.inputs ?? [];
  if (producer === undefined || !isOperator(quantizeLinearOperator, producer) || value === undefined || low >= high)
    return undefined;
  const isSame = sameConstant(e, step, scale) && sameConstant(e, offset, zeroPoint);
  return isSame ? { value, low, high } : undefined;
}

function sameConstant(e: Emitter, value: Value | undefined, slot: Slot | undefined): boolean {
  const own = value === undefined ? undefined : e.builder.constantOf(value);
  const other = tensorOf(slot);
  if (own === undefined || other === undefined) return (own === undefined) === (other === undefined);
  if (own.data.length !== other.data.length) return false;
  const numbers = toNumbers(other);
  return toNumbers(own).every((number, i) => number === numbers[i]);
}

/** Integers of a weight as the float parameter that they stand for, with its quantizer. Biases are only made float. */
function dequantizeConstant(
  e: Emitter,
  node: SourceNode,
  codes: ConstantSlot,
  rest: Omit<Statement, "low" | "high">,
): Slot | undefined {
  const { shape, dtype } = codes.tensor;
  const block = intAttribute(node, "block_size", 0);
  if (block !== 0 && (rest.axis !== shape.length - 1 || (shape[rest.axis] ?? 0) % block !== 0)) return undefined;
  const from: Shape =
    rest.axis === undefined || block !== 0
      ? rest.scale.shape
      : shape.map((size, axis) => (axis === rest.axis ? size : 1));
  const steps = toNumbers(rest.scale);
  const offsets = rest.zeroPoint === undefined ? undefined : toNumbers(rest.zeroPoint);
  const place =
    elementCount(from) === 1
      ? () => 0
      : block !== 0
        ? (i: number) => Math.floor(i / block)
        : broadcastIndex(from, shape);
  const data = Float32Array.from(toNumbers(codes.tensor), (code, i) => {
    const at = place(i);
    return (code - (offsets?.[at] ?? 0)) * (steps[at] ?? 1);
  });
  const weight = e.constant(float32Tensor(shape, data), codes.name, true);
  const range = codesOf(dtype);
  if (range === undefined || shape.length < 2) return weight;
  const { axis: _axis, ...shared } = rest;
  const statement: Statement =
    block === 0 ? { ...range, ...rest } : { ...range, ...shared, axis: undefined, groupSize: block };
  return e.slotOf(insertWeight(e, weight, node, statement));
}

/** QONNX's Quant: x, scale, zero point and bits as inputs; signed and narrow as attributes. */
function readQuant(e: Emitter, node: SourceNode): Slot {
  const [x, scaleSlot, zeroSlot, bitsSlot] = withoutBatchSlots(e, node);
  const [scale, zero, bitTensor] = [tensorOf(scaleSlot), tensorOf(zeroSlot), tensorOf(bitsSlot)];
  const refuse = (what: string) =>
    new UnsupportedError(what, { where: node.where, remedy: "Export the float model and quantize it here." });
  if (x === undefined || scale === undefined || zero === undefined || bitTensor === undefined) {
    throw refuse("a Quant node computes its scale, its zero point or its bits");
  }
  const rounding = stringAttribute(node, "rounding_mode", "ROUND").toUpperCase();
  if (rounding !== "ROUND" && rounding !== "HALF_EVEN") throw refuse(`a Quant node rounds by ${rounding}`);
  const bits = toNumbers(bitTensor)[0] ?? 0;
  const mostBits = x.kind === "constant" ? 32 : 16;
  if (!Number.isInteger(bits) || bits < 1 || bits > mostBits) throw refuse(`a Quant node has ${bits} bits`);
  const signed = intAttribute(node, "signed", 1) === 1;
  const narrow = intAttribute(node, "narrow", 0) === 1;
  const low = signed ? -(2 ** (bits - 1)) + (narrow ? 1 : 0) : 0;
  const high = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1 - (narrow ? 1 : 0);
  if (x.kind === "constant" && bits > 16) {
    e.note("Quantizers of more than 16 bits (those of biases) are dropped: training keeps these tensors in float32.");
    return e.constant(rounded(x.tensor, { low, high, scale, zeroPoint: zero }), x.name, true);
  }
  const rank = typeOf(x).shape.length;
  const wide = scale.shape.findIndex((size) => size !== 1);
  const axis = wide < 0 ? undefined : wide + rank - scale.shape.length;
  if (axis !== undefined && scale.shape[wide] !== elementCount(scale.shape))
    throw refuse("a Quant node has a scale of several axes");
  const statement = { low, high, scale, zeroPoint: zero, axis };
  const value =
    x.kind === "constant"
      ? insertWeight(e, { ...x, stored: true }, node, statement)
      : insert(e, x.value, "activation", node.name, statement);
  return e.slotOf(value);
}

/** A tensor with its elements at the steps of a quantizer. */
function rounded(x: Tensor, { low, high, scale, zeroPoint }: Omit<Statement, "axis">): Tensor {
  const [steps, offsets] = [toNumbers(scale), toNumbers(zeroPoint ?? float32Tensor([], [0]))];
  const [stepOf, offsetOf] = [scale, zeroPoint].map((tensor) => broadcastIndex(tensor?.shape ?? [], x.shape));
  const values = toNumbers(x).map((value, i) => {
    const [step, offset] = [steps[stepOf?.(i) ?? 0] ?? 1, offsets[offsetOf?.(i) ?? 0] ?? 0];
    return (Math.min(high, Math.max(low, roundHalfEven(value / step) + offset)) - offset) * step;
  });
  return float32Tensor(x.shape, values);
}

/** scale·sign(x): the binary quantizer without a scale of its own, times the file's. */
function readBipolar(e: Emitter, node: SourceNode): Slot {
  const [x, scale] = withoutBatchSlots(e, node);
  if (x === undefined || scale === undefined) {
    throw new UnsupportedError("a BipolarQuant node has no scale", { where: node.where, remedy: "Export it again." });
  }
  const isWeight = x.kind === "constant";
  const name = isWeight ? parameterName(x.name, "weight", node) : node.name;
  const value = isWeight ? e.parameter({ name, role: "weight", trainable: true, value: x.tensor }) : x.value;
  const site = e.unusedName(siteOfTensor(name));
  const options = { scale: "none", gradient: "steSign" };
  const spec: QuantizerSpec = { quantizer: binary.name, bits: 1, quantMin: -1, quantMax: 1, options };
  const signs = fakeQuantize(e.builder, value, spec, {}, site);
  e.follow(value, signs);
  const place = isWeight ? ({ kind: "weight", parameter: value.name } as const) : ({ kind: "activation" } as const);
  e.addSite({ id: site, ...place, tensor: name, spec, parameters: {}, states: {} });
  return e.one("Mul", [e.slotOf(signs), scale]);
}

function insertWeight(e: Emitter, weight: ConstantSlot, node: SourceNode, statement: Statement): Value {
  const name = parameterName(weight.name, "weight", node);
  const value = e.parameter({ name, role: "weight", trainable: true, value: weight.tensor });
  return insert(e, value, "weight", value.name, statement);
}

function insert(e: Emitter, x: Value, kind: "weight" | "activation", place: string, statement: Statement): Value {
  const { low, high, scale, zeroPoint, axis, groupSize } = statement;
  const count = elementCount(scale.shape);
  const shape = count === 1 ? [] : [count];
  const offsets = zeroPoint === undefined ? [0] : toNumbers(zeroPoint);
  const zeros = Array.from({ length: count }, (_, i) => offsets[offsets.length === 1 ? 0 : i] ?? 0);
  const spec: QuantizerSpec = {
    quantizer: uniform.name,
    bits: Math.ceil(Math.log2(high - low + 1)),
    quantMin: low,
    quantMax: high,
    ...(count > 1 && groupSize === undefined && axis !== undefined ? { channelAxis: axis } : {}),
    ...(groupSize === undefined ? {} : { groupSize }),
    options: { scheme: zeros.every((zero) => zero === 0) ? "symmetric" : "affine" },
  };
  const site = e.unusedName(siteOfTensor(place));
  const keep = (name: string, value: Tensor) =>
    e.parameter({ name: siteParameter(site, name), role: "quantizer", trainable: false, value });
  const parameters = {
    scale: keep("scale", float32Tensor(shape, toNumbers(scale))),
    zero_point: keep("zero_point", float32Tensor(shape, zeros)),
  };
  const result = fakeQuantize(e.builder, x, spec, parameters, site);
  e.follow(x, result);
  const links = { scale: parameters.scale.name, zero_point: parameters.zero_point.name };
  const weight = kind === "weight" ? { parameter: x.name } : {};
  e.addSite({ id: site, kind, ...weight, tensor: place, spec, parameters: links, states: {} });
  return result;
}
