/**
 * Numpy broadcasting: the shape rule, and its adjoint, which sums over what was repeated.
 */

import type { GraphBuilder, OperatorCall, Value } from "../../ir/graph.ts";
import { type Shape, sameShape, type TensorType } from "../../ir/types.ts";
import { typeError } from "../definition.ts";
import { commonDtype, indices, int64Constant } from "./operands.ts";

/** The shape that two shapes broadcast to, or undefined when they do not fit. */
export function broadcastShapes(a: Shape, b: Shape): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return undefined;
    shape.push(x === 1 ? y : x);
  }
  return shape;
}

/** The shape that all given inputs of a call broadcast to. @throws GraphError when they do not fit. */
export function broadcastInputs(call: OperatorCall): number[] {
  let shape: number[] = [];
  for (const type of call.inputs) {
    if (type === undefined) continue;
    const wider = broadcastShapes(shape, type.shape);
    if (wider === undefined) throw typeError(call, "the shapes do not broadcast");
    shape = wider;
  }
  return shape;
}

/** Type rule of elementwise operators with several inputs of one element type. */
export function broadcastType(call: OperatorCall): readonly TensorType[] {
  return [{ dtype: commonDtype(call), shape: broadcastInputs(call) }];
}

/** The axes of `wide` along which a tensor of shape `narrow` was repeated. */
export function broadcastAxes(wide: Shape, narrow: Shape): number[] {
  const missing = wide.length - narrow.length;
  return indices(wide.length).filter((i) => i < missing || (narrow[i - missing] === 1 && wide[i] !== 1));
}

/** The adjoint of broadcasting `shape` to the gradient's shape: sums over the repeated axes; nothing when none was. */
export function sumTo(b: GraphBuilder, gradient: Value, shape: Shape): Value {
  const wide = gradient.type.shape;
  if (sameShape(wide, shape)) return gradient;
  const axes = broadcastAxes(wide, shape);
  const keepDimensions = wide.length === shape.length;
  const sum =
    axes.length === 0
      ? gradient
      : b.one("ReduceSum", [gradient, int64Constant(b, axes)], { keepdims: keepDimensions ? 1 : 0 });
  return sameShape(sum.type.shape, shape) ? sum : b.one("Reshape", [sum, int64Constant(b, shape)]);
}
