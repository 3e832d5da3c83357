/**
 * Reshapes, expansions and cuts in forms that hold for any batch size: sizes that follow from the batch are copied from
 * the input (0), left open (-1), or taken from an input of the network (ExpandBatch). What has no such form reads its
 * sizes from a BatchValue.
 */

import { GraphError } from "../../errors.ts";
import { subbyteDomain } from "../../ir/graph.ts";
import {
  batchSymbol,
  type Dimension,
  type Dimensions,
  isSymbolic,
  productOf,
  quotient,
  sameSize,
  sameSizes,
  showSize,
} from "../../ir/size.ts";
import { toNumbers } from "../../ir/tensor.ts";
import { int64Slot, showSizes } from "../../ops/rewrite/context.ts";
import { type Slot, type SourceNode, tensorOf, typeOf } from "../../ops/rewrite/slots.ts";
import { countsTo } from "../batch/count.ts";
import { symbolicOf } from "../batch/symbolic.ts";
import type { Emitter } from "../emitter.ts";

/**
 * The integers of an input that must be known; undefined where the batch decides them in a way that is no polynomial.
 *
 * @throws GraphError naming the node.
 */
export function knownIntegers(
  node: Pick<SourceNode, "where" | "op">,
  slot: Slot | undefined,
  what: string,
): Dimensions | undefined {
  const known = slot?.kind === "value" ? undefined : symbolicOf(slot)?.elements;
  if (known !== undefined || slot?.kind === "batch") return known;
  const tensor = tensorOf(slot);
  if (tensor !== undefined) return toNumbers(tensor);
  throw new GraphError(`the ${what} of ${node.op} is ${slot === undefined ? "missing" : "computed from the data"}`, {
    where: node.where,
    remedy: "Shapes are static in subbyte: export the model with fixed shapes.",
  });
}

/** x in another shape. */
export function reshapeTo(e: Emitter, x: Slot, shape: Dimensions): Slot {
  const from = typeOf(x).shape;
  if (sameSizes(from, shape)) return x;
  const target = shape.map((size, axis) => {
    if (!isSymbolic(size)) return size;
    return sameSize(from[axis], size) ? 0 : -1;
  });
  const isPlain = target.filter((size) => size === -1).length <= 1 && !(shape.includes(0) && shape.some(isSymbolic));
  const sizes = isPlain ? int64Slot(e, target) : e.integers(shape);
  return e.one("Reshape", [x, sizes], shape.includes(0) ? { allowzero: 1 } : {});
}

/** Returns the sizes that a Reshape requests, with 0 and -1 resolved. */
export function resolveReshape(e: Emitter, node: SourceNode, x: Dimensions, wanted: Dimensions): Dimension[] {
  const keepZeros = node.attributes.allowzero === 1;
  const stated = e.batch?.stated;
  const sizes = wanted.map((size, axis): Dimension => {
    if (size === 0 && !keepZeros) return x[axis] ?? 0;
    // A file for one batch size names it; where the input has the batch there, the batch is what it stands for.
    const isStated = axis === 0 && stated !== undefined && size === stated && sameSize(x[0], batchSymbol);
    return isStated ? batchSymbol : size;
  });
  const rest = productOf(sizes.filter((size) => size !== -1));
  const total = productOf(x);
  const left = rest === 0 ? 0 : quotient(total, rest);
  const open = sizes.map((size) => (size === -1 ? left : size));
  const known = open.filter((size) => size !== undefined);
  const isCounted = known.every((size) => isSymbolic(size) || (Number.isSafeInteger(size) && size >= 0));
  if (known.length === open.length && sameSize(productOf(known), total) && isCounted) return known;
  throw new GraphError(`${showSize(total)} elements cannot take the shape [${showSizes(wanted)}]`, {
    where: node.where,
    remedy: "The shapes in the file contradict each other: export the model again.",
  });
}

/** The shape of two others broadcast; undefined where they do not fit for every batch. */
function broadcastSizes(a: Dimensions, b: Dimensions): Dimension[] | undefined {
  const rank = Math.max(a.length, b.length);
  const result: Dimension[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const [x, y] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (x !== 1 && y !== 1 && !sameSize(x, y)) return undefined;
    result.push(x === 1 ? y : x);
  }
  return result;
}

/** x broadcast to a shape. */
export function expandTo(e: Emitter, x: Slot, shape: Dimensions): Slot {
  const from = typeOf(x).shape;
  const result = broadcastSizes(from, shape);
  if (result !== undefined && sameSizes(result, from)) return x;
  if (result === undefined || !shape.some(isSymbolic)) return e.one("Expand", [x, e.integers(shape)]);
  const factors = result.map((size) => (isSymbolic(size) ? quotient(size, batchSymbol) : undefined));
  const isPlain = result.every((size, axis) => !isSymbolic(size) || typeof factors[axis] === "number");
  if (!isPlain) return e.one("Expand", [x, e.integers(shape)]);
  const missing = result.length - from.length;
  let y = missing > 0 ? reshapeTo(e, x, [...new Array<number>(missing).fill(1), ...from]) : x;
  const fixed = result.map((size) => (isSymbolic(size) ? 1 : size));
  result.forEach((size, axis) => {
    const factor = factors[axis];
    if (!isSymbolic(size) || typeof factor !== "number" || typeOf(y).shape[axis] !== 1) return;
    y = e.one("ExpandBatch", [y, e.batchReference()], { axis, factor }, { domain: subbyteDomain });
  });
  return sameSizes(typeOf(y).shape, result) ? y : e.one("Expand", [y, int64Slot(e, fixed)]);
}

type Form = (e: Emitter, node: SourceNode) => Slot | undefined;

const reshape: Form = (e, node) => {
  const [x, shape] = node.inputs;
  if (x === undefined) return undefined;
  const wanted = knownIntegers(node, shape, "shape");
  return wanted === undefined ? undefined : reshapeTo(e, x, resolveReshape(e, node, typeOf(x).shape, wanted));
};

const flatten: Form = (e, node) => {
  const [x] = node.inputs;
  if (x === undefined) return undefined;
  const { shape } = typeOf(x);
  const given = typeof node.attributes.axis === "number" ? node.attributes.axis : 1;
  const axis = given < 0 ? given + shape.length : given;
  // The batch alone in front is what Flatten itself says for any batch.
  if (axis === 1) return undefined;
  return reshapeTo(e, x, [productOf(shape.slice(0, axis)), productOf(shape.slice(axis))]);
};

const expand: Form = (e, node) => {
  const [x, shape] = node.inputs;
  if (x === undefined) return undefined;
  const wanted = knownIntegers(node, shape, "shape");
  const stated = e.batch?.stated;
  const sizes = wanted?.map((size, axis) =>
    axis === 0 && stated !== undefined && size === stated && sameSize(typeOf(x).shape[0], batchSymbol) ? 1 : size,
  );
  return sizes === undefined ? undefined : expandTo(e, x, sizes);
};

const constantOfShape: Form = (e, node) => {
  const sizes = knownIntegers(node, node.inputs[0], "shape");
  if (sizes === undefined || !sizes.some(isSymbolic)) return undefined;
  const ones = int64Slot(
    e,
    sizes.map(() => 1),
  );
  return expandTo(e, e.one("ConstantOfShape", [ones], node.attributes), sizes);
};

const tile: Form = (e, node) => {
  const [x, repeats] = node.inputs;
  if (x === undefined) return undefined;
  const counts = knownIntegers(node, repeats, "counts");
  if (counts === undefined || !counts.some(isSymbolic)) return undefined;
  const { shape } = typeOf(x);
  const isWide = (count: Dimension, axis: number) => shape[axis] === 1 && isSymbolic(count);
  const wide = expandTo(
    e,
    x,
    shape.map((size, axis) => (isWide(counts[axis] ?? 1, axis) ? (counts[axis] ?? 1) : size)),
  );
  const rest = counts.map((count, axis) => (isWide(count, axis) ? 1 : count));
  return rest.every((count) => count === 1) ? wide : e.one("Tile", [wide, e.integers(rest)]);
};

/** The largest end of a Slice, as exporters write it where an axis is taken to its end. */
const openEnd = 2 ** 31 - 1;

/** An end that is the size of its axis is the end of the axis. */
const slice: Form = (e, node) => {
  const [x, , ends, axes, steps] = node.inputs;
  const list = ends === undefined || ends.kind === "value" ? undefined : symbolicOf(ends)?.elements;
  const order = axes === undefined ? list?.map((_, axis) => axis) : tensorOf(axes) && knownIntegers(node, axes, "axes");
  const strides = steps === undefined ? [] : tensorOf(steps) && knownIntegers(node, steps, "steps");
  if (x === undefined || list === undefined || order === undefined || strides === undefined) return undefined;
  if (!list.some(isSymbolic)) return undefined;
  const { shape } = typeOf(x);
  const open = list.map((end, i) => {
    const axis = Number(order[i] ?? 0);
    const size = shape[axis < 0 ? axis + shape.length : axis];
    const isForward = Number(strides[i] ?? 1) > 0;
    return isForward && isSymbolic(end) && sameSize(end, size) ? openEnd : end;
  });
  return e.one("Slice", node.inputs.with(2, e.integers(open)));
};

/** A Gather that takes every element of its axis in order is a reshape: so torch writes as_strided. */
const gather: Form = (e, node) => {
  const [x, index] = node.inputs;
  if (x === undefined || index === undefined || index.kind === "value") return undefined;
  const { shape } = typeOf(x);
  const given = typeof node.attributes.axis === "number" ? node.attributes.axis : 0;
  const axis = given < 0 ? given + shape.length : given;
  const size = shape[axis];
  if (size === undefined || !countsTo(index, size)) return undefined;
  return reshapeTo(e, x, [...shape.slice(0, axis), ...typeOf(index).shape, ...shape.slice(axis + 1)]);
};

const forms: ReadonlyMap<string, Form> = new Map([
  ["Reshape", reshape],
  ["Flatten", flatten],
  ["Expand", expand],
  ["ConstantOfShape", constantOfShape],
  ["Tile", tile],
  ["Slice", slice],
  ["Gather", gather],
]);

/** The node in a form without the size of the batch, or undefined where it has none. */
export function batchForm(e: Emitter, node: SourceNode): readonly Slot[] | undefined {
  const result = forms.get(node.op)?.(e, node);
  return result === undefined ? undefined : [result];
}
