/** Simplifications: what stands for the outputs of nodes whose result follows from the types of their inputs, or that do nothing. */

import type { Attributes } from "../../ir/graph.ts";
import { productOf } from "../../ir/size.ts";
import { dtypeToOnnx } from "../../onnx/wire/proto.ts";
import { foldNonZero } from "../build/fold/layout.ts";
import type { Simplification } from "./context.ts";
import { tensorOf, typeOf } from "./slots.ts";

/** The first input, whatever the node says. */
export const firstInput: Simplification = (_, { inputs: [x] }) => (x === undefined ? undefined : [x]);

/** The only input of a node that could have several. */
export const onlyInput: Simplification = (_, { inputs }) => {
  const [x] = inputs;
  return x === undefined || inputs.length !== 1 ? undefined : [x];
};

/** The input of a Cast that has the element type already. */
export const sameElementType: Simplification = (_, { inputs: [x], attributes }) =>
  x === undefined || attributes.to !== dtypeToOnnx(typeOf(x).dtype) ? undefined : [x];

/** The input of a Transpose that leaves every axis in its place. */
export const sameAxes: Simplification = (_, { inputs: [x], attributes: { perm } }) => {
  const isSame = Array.isArray(perm) && perm.every((axis, i) => axis === i);
  return x === undefined || !isSame ? undefined : [x];
};

/** The shape of the input, or a range of it. */
export const shapeOfInput: Simplification = (e, { inputs: [x], attributes }) => {
  if (x === undefined) return undefined;
  const { shape } = typeOf(x);
  return [e.integers(shape.slice(integerOf(attributes, "start", 0), integerOf(attributes, "end", shape.length)))];
};

/** The number of elements of the input. */
export const sizeOfInput: Simplification = (e, { inputs: [x] }) =>
  x === undefined ? undefined : [e.integers([productOf(typeOf(x).shape)], [])];

/** The places of the elements of a known input that are not zero. */
export const placesOfInput: Simplification = (e, { inputs: [x] }) => {
  const tensor = tensorOf(x);
  const places = tensor === undefined ? undefined : foldNonZero(tensor);
  return places === undefined ? undefined : [e.constant(places)];
};

function integerOf(attributes: Attributes, name: string, fallback: number): number {
  const value = attributes[name];
  return typeof value === "number" ? value : fallback;
}
