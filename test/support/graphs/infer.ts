/**
 * Type rules for a handful of operators, for tests of the `graph` room, which stands above the operators.
 *
 * The rules are strict, because tests feed them graphs from damaged files: anything odd is a GraphError.
 */

import { GraphError, UnsupportedError } from "../../../src/errors.ts";
import { intAttribute, intsAttribute } from "../../../src/ir/attributes.ts";
import { type InferTypes, type OperatorCall, showCall, showNode } from "../../../src/ir/graph.ts";
import { toNumbers } from "../../../src/ir/tensor.ts";
import { elementCount, sameShape, type TensorType } from "../../../src/ir/types.ts";
import { dtypeFromOnnx } from "../../../src/onnx/wire/proto.ts";

function fault(call: OperatorCall, message: string): GraphError {
  return new GraphError(`${message} in ${showCall(call)}`, { where: showNode(call) });
}

function input(call: OperatorCall, index: number): TensorType {
  const type = call.inputs[index];
  if (type === undefined) throw fault(call, `input ${index} is missing`);
  return type;
}

function like(call: OperatorCall): TensorType[] {
  return [input(call, 0)];
}

function pair(call: OperatorCall): TensorType[] {
  const [a, b] = [input(call, 0), input(call, 1)];
  if (a.dtype !== b.dtype) throw fault(call, "element types differ");
  if (elementCount(b.shape) === 1 && b.shape.length <= a.shape.length) return [a];
  if (!sameShape(a.shape, b.shape)) throw fault(call, "shapes differ");
  return [a];
}

/** Branches of an If have the same output types. */
function branches(call: OperatorCall): TensorType[] {
  const branch = call.attributes.then_branch;
  if (typeof branch !== "object" || !("graph" in branch)) throw fault(call, "then_branch is not a graph");
  return branch.graph.outputs.map(({ value }) => value.type);
}

const rules: Readonly<Record<string, (call: OperatorCall) => TensorType[]>> = {
  Add: pair,
  Mul: pair,
  Sub: pair,
  Relu: like,
  Neg: like,
  Identity: like,
  Clip: like,
  If: branches,
  MatMul: (call) => {
    const [a, b] = [input(call, 0), input(call, 1)];
    const [rows, inner] = a.shape;
    const [innerToo, columns] = b.shape;
    const fits = a.shape.length === 2 && b.shape.length === 2 && inner === innerToo && a.dtype === b.dtype;
    if (!fits || rows === undefined || columns === undefined) throw fault(call, "operands do not fit");
    return [{ dtype: a.dtype, shape: [rows, columns] }];
  },
  Transpose: (call) => {
    const { dtype, shape } = input(call, 0);
    const perm = intsAttribute(call, "perm");
    const permuted = perm.map((axis) => shape[axis]).filter((size) => size !== undefined);
    if (new Set(perm).size !== shape.length || permuted.length !== shape.length) throw fault(call, "perm does not fit");
    return [{ dtype, shape: permuted }];
  },
  Split: (call) => {
    const { dtype, shape } = input(call, 0);
    const [rows, ...rest] = shape;
    const parts = call.outputCount ?? 1;
    if (rows === undefined || rows % parts !== 0) throw fault(call, "parts do not fit");
    return Array.from({ length: parts }, () => ({ dtype, shape: [rows / parts, ...rest] }));
  },
  Reshape: (call) => {
    const { dtype, shape } = input(call, 0);
    const wanted = call.constants[1];
    if (wanted === undefined || wanted.dtype !== "int64") throw fault(call, "the shape is not constant");
    const sizes = toNumbers(wanted);
    if (sizes.some((size) => size < 0) || elementCount(sizes) !== elementCount(shape)) throw fault(call, "bad shape");
    return [{ dtype, shape: sizes }];
  },
  Cast: (call) => {
    const dtype = dtypeFromOnnx(intAttribute(call, "to"));
    if (dtype === undefined) throw fault(call, "no such element type");
    return [{ dtype, shape: input(call, 0).shape }];
  },
  DequantizeLinear: (call) => [{ dtype: input(call, 1).dtype, shape: input(call, 0).shape }],
  "subbyte:Probe": like,
};

/** Infers types for the operators above; throws UnsupportedError for all others. */
export const tinyInfer: InferTypes = (call) => {
  const key = call.domain === "" ? call.op : `${call.domain}:${call.op}`;
  const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
  if (rule === undefined)
    throw new UnsupportedError(`no rule for ${key}`, { where: showNode(call), remedy: "Add one." });
  return rule(call);
};
