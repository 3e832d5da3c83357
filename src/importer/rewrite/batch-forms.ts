/**
 * Reshapes, expansions and cuts in forms that hold for any batch size: sizes that follow from the batch are copied from
 * the input (0), left open (-1), or taken from an input of the network (ExpandBatch).
 */

import { GraphError } from "../../errors.ts";
import { subbyteDomain } from "../../ir/graph.ts";
import { int64Tensor, toNumbers } from "../../ir/tensor.ts";
import { elementCount, type Shape, sameShape } from "../../ir/types.ts";
import { broadcastShapes } from "../../ops/build/broadcast.ts";
import { isBatch } from "../batch.ts";
import type { Emitter } from "../emitter.ts";
import { type Slot, type SourceNode, tensorOf, typeOf } from "../slots.ts";

/** The integers of an input that must be known. @throws GraphError naming the node. */
export function knownIntegers(node: Pick<SourceNode, "where" | "op">, slot: Slot | undefined, what: string): number[] {
  const tensor = tensorOf(slot);
  if (tensor !== undefined) return toNumbers(tensor);
  throw new GraphError(`the ${what} of ${node.op} is ${slot === undefined ? "missing" : "computed from the data"}`, {
    where: node.where,
    remedy: "Shapes are static in subbyte: export the model with fixed shapes.",
  });
}

export function int64Slot(e: Emitter, values: readonly number[]): Slot {
  return e.constant(int64Tensor(values));
}

/** x in another shape, whose sizes are all known; one of them may hold the batch. */
export function reshapeTo(e: Emitter, x: Slot, shape: Shape): Slot {
  const from = typeOf(x).shape;
  if (sameShape(from, shape)) return x;
  const target = shape.map((size, axis) => {
    if (!isBatch(size, e.batch)) return size;
    return from[axis] === size ? 0 : -1;
  });
  return e.one("Reshape", [x, int64Slot(e, target)], shape.includes(0) ? { allowzero: 1 } : {});
}

/** The sizes that a Reshape asks for, with 0 and -1 worked out. */
export function resolveReshape(e: Emitter, node: SourceNode, x: Shape, wanted: readonly number[]): number[] {
  const keepZeros = node.attributes.allowzero === 1;
  const stated = e.batch?.stated;
  const sizes = wanted.map((size, axis) => {
    if (size === 0 && !keepZeros) return x[axis] ?? 0;
    // A file for one batch size names it; where the input has the batch there, that is what is meant.
    const isStated = axis === 0 && stated !== undefined && size === stated && x[0] === e.batch?.size;
    return isStated ? (x[0] ?? size) : size;
  });
  const rest = sizes.reduce((product, size) => (size === -1 ? product : product * size), 1);
  const total = elementCount(x);
  const open = sizes.map((size) => (size === -1 ? (rest === 0 ? 0 : total / rest) : size));
  if (elementCount(open) === total && open.every((size) => Number.isSafeInteger(size) && size >= 0)) return open;
  throw new GraphError(`${total} elements cannot take the shape [${wanted}]`, {
    where: node.where,
    remedy: "The shapes in the file contradict each other: export the model again.",
  });
}

/** x broadcast to a shape, some sizes of which may hold the batch. */
export function expandTo(e: Emitter, x: Slot, shape: Shape): Slot {
  const { batch } = e;
  const from = typeOf(x).shape;
  const result = broadcastShapes(from, shape);
  if (result !== undefined && sameShape(result, from)) return x;
  if (batch === undefined || result === undefined || !shape.some((size) => isBatch(size, batch))) {
    return e.one("Expand", [x, int64Slot(e, shape)]);
  }
  const missing = result.length - from.length;
  let y = missing > 0 ? reshapeTo(e, x, [...new Array<number>(missing).fill(1), ...from]) : x;
  const fixed = result.map((size) => (isBatch(size, batch) ? 1 : size));
  result.forEach((size, axis) => {
    const own = typeOf(y).shape[axis];
    if (!isBatch(size, batch) || own !== 1) return;
    const attributes = { axis, factor: size / batch.size };
    y = e.one("ExpandBatch", [y, e.batchReference()], attributes, { domain: subbyteDomain });
  });
  const now = typeOf(y).shape;
  return sameShape(now, result) ? y : e.one("Expand", [y, int64Slot(e, fixed)]);
}

type Form = (e: Emitter, node: SourceNode) => Slot | undefined;

const reshape: Form = (e, node) => {
  const [x, shape] = node.inputs;
  if (x === undefined) return undefined;
  return reshapeTo(e, x, resolveReshape(e, node, typeOf(x).shape, knownIntegers(node, shape, "shape")));
};

const flatten: Form = (e, node) => {
  const [x] = node.inputs;
  if (x === undefined) return undefined;
  const { shape } = typeOf(x);
  const given = typeof node.attributes.axis === "number" ? node.attributes.axis : 1;
  const axis = given < 0 ? given + shape.length : given;
  // The batch alone in front is what Flatten itself says for any batch.
  if (axis === 1) return undefined;
  return reshapeTo(e, x, [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))]);
};

const expand: Form = (e, node) => {
  const [x, shape] = node.inputs;
  if (x === undefined) return undefined;
  const wanted = knownIntegers(node, shape, "shape");
  const stated = e.batch?.stated;
  const meant = wanted.map((size, axis) =>
    axis === 0 && stated !== undefined && size === stated && typeOf(x).shape[0] === e.batch?.size ? 1 : size,
  );
  return expandTo(e, x, meant);
};

const constantOfShape: Form = (e, node) => {
  const { batch } = e;
  const sizes = knownIntegers(node, node.inputs[0], "shape");
  if (!sizes.some((size) => isBatch(size, batch))) return undefined;
  const one = e.one(
    "ConstantOfShape",
    [
      int64Slot(
        e,
        sizes.map(() => 1),
      ),
    ],
    node.attributes,
  );
  return expandTo(e, one, sizes);
};

const tile: Form = (e, node) => {
  const [x, repeats] = node.inputs;
  if (x === undefined) return undefined;
  const counts = knownIntegers(node, repeats, "counts");
  if (!counts.some((count) => isBatch(count, e.batch))) return undefined;
  const { shape } = typeOf(x);
  const wide = expandTo(
    e,
    x,
    shape.map((size, axis) => (size === 1 && isBatch(counts[axis] ?? 1, e.batch) ? (counts[axis] ?? 1) : size)),
  );
  const rest = counts.map((count, axis) => (shape[axis] === 1 && isBatch(count, e.batch) ? 1 : count));
  return rest.every((count) => count === 1) ? wide : e.one("Tile", [wide, int64Slot(e, rest)]);
};

/** An end that is the batch's size is the end of the axis. */
const slice: Form = (e, node) => {
  const [x, starts, ends, axes, steps] = node.inputs;
  if (x === undefined || tensorOf(ends) === undefined) return undefined;
  const list = knownIntegers(node, ends, "ends");
  if (!list.some((end) => isBatch(end, e.batch))) return undefined;
  const open = list.map((end) => (isBatch(end, e.batch) ? 2 ** 31 - 1 : end));
  return e.one("Slice", [x, starts, int64Slot(e, open), axes, steps]);
};

const forms: ReadonlyMap<string, Form> = new Map([
  ["Reshape", reshape],
  ["Flatten", flatten],
  ["Expand", expand],
  ["ConstantOfShape", constantOfShape],
  ["Tile", tile],
  ["Slice", slice],
]);

/** The node in a form without the size of the batch, or undefined where it has none. */
export function batchForm(e: Emitter, node: SourceNode): readonly Slot[] | undefined {
  const result = forms.get(node.op)?.(e, node);
  return result === undefined ? undefined : [result];
}
