/**
 * Transpositions that move the batch from the front, as recurrent layers want it: what follows is done on their source, with
 * the batch in front, so that the transposition moves on until another one undoes it.
 */

import { type Dimension, type Dimensions, isSymbolic, sameSize, times } from "../../ir/size.ts";
import { toNumbers } from "../../ir/tensor.ts";
import { permutationOf } from "../../ops/build/operands.ts";
import { type Slot, type SourceNode, tensorOf, typeOf } from "../../ops/rewrite/slots.ts";
import type { Emitter } from "../emitter.ts";
import { knownIntegers, resolveReshape } from "./batch-forms.ts";
import { pickedFromJoin, reshapedBack } from "./picked.ts";

/** A value as the transposition of another one. */
interface Turned {
  readonly source: Slot;
  /** For each axis, the axis of the source that it is. */
  readonly order: readonly number[];
}

function turnedFrom(e: Emitter, x: Slot | undefined): Turned | undefined {
  if (x?.kind !== "value") return undefined;
  const producer = e.builder.producerOf(x.value);
  const [source] = producer?.inputs ?? [];
  if (producer?.op !== "Transpose" || producer.domain !== "" || source === undefined) return undefined;
  return { source: e.slotOf(source), order: permutationOf(producer, source.type.shape.length) };
}

/** x with its axes in another order; x's own source where that undoes the transposition that made x. */
export function transposed(e: Emitter, x: Slot, order: readonly number[]): Slot {
  const { source, order: before } = turnedFrom(e, x) ?? { source: x, order: order.map((_, axis) => axis) };
  const whole = order.map((axis) => before[axis] ?? axis);
  return whole.every((axis, i) => axis === i) ? source : e.one("Transpose", [source], { perm: whole });
}

type Form = (e: Emitter, node: SourceNode, turned: Turned) => Slot | undefined;

const transpose: Form = (e, node, { order }) => {
  const [x] = node.inputs;
  return x === undefined ? undefined : transposed(e, x, permutationOf(node, order.length));
};

const reshape: Form = (e, node, turned) => {
  const [x, sizes] = node.inputs;
  const wanted = sizes === undefined || sizes.kind === "value" ? undefined : knownIntegers(node, sizes, "shape");
  if (x === undefined || wanted === undefined) return undefined;
  return reshaped(e, turned, resolveReshape(e, node, typeOf(x).shape, wanted));
};

const squeeze: Form = (e, node, turned) => {
  const [x, axes] = node.inputs;
  const given = tensorOf(axes);
  if (x === undefined || given === undefined) return undefined;
  const { shape } = typeOf(x);
  const removed = toNumbers(given).map((axis) => (axis < 0 ? axis + shape.length : axis));
  return reshaped(
    e,
    turned,
    shape.filter((_, axis) => !removed.includes(axis)),
  );
};

/** One index of an axis other than the batch. */
const gather: Form = (e, node, { source, order }) => {
  const [, indices] = node.inputs;
  const index = tensorOf(indices);
  const { axis = 0 } = node.attributes;
  const from = typeof axis === "number" ? order[axis < 0 ? axis + order.length : axis] : undefined;
  if (index === undefined || index.shape.length > 0 || from === undefined || from === 0) return undefined;
  const size = typeOf(source).shape[from];
  const [given = 0] = toNumbers(index);
  const place = given < 0 && typeof size === "number" ? given + size : given;
  const picked =
    (size === 1 ? reshapedBack(e, source, typeOf(source).shape.toSpliced(from, 1)) : undefined) ??
    pickedFromJoin(e, source, from, place) ??
    e.one("Gather", [source, indices], { axis: from });
  const rest = order.filter((each) => each !== from).map((each) => (each > from ? each - 1 : each));
  return transposed(e, picked, rest);
};

/**
 * The turned value in another shape that joins axes which lie next to each other in the source too, as a reshape of the source;
 * undefined for any other.
 */
function reshaped(e: Emitter, { source, order }: Turned, shape: Dimensions): Slot | undefined {
  const from = typeOf(source).shape;
  const groups = joinedAxes(
    order.filter((axis) => from[axis] !== 1),
    from,
    shape.filter((size) => size !== 1),
  );
  if (groups === undefined) return undefined;
  const sorted = groups.toSorted((a, b) => (a.axes[0] ?? 0) - (b.axes[0] ?? 0));
  if (groups.every((group, i) => group === sorted[i])) return reshapedBack(e, source, shape);
  const ones = shape.filter((size) => size === 1).length;
  const apart = reshapedBack(e, source, [...sorted.map(({ size }) => size), ...new Array<number>(ones).fill(1)]);
  let [nextGroup, nextOne] = [0, sorted.length];
  const places = shape.map((size) => {
    if (size === 1) return nextOne++;
    const group = groups[nextGroup++];
    return group === undefined ? -1 : sorted.indexOf(group);
  });
  return transposed(e, apart, places);
}

/** Axes of the source that one axis of the result joins. */
interface Joined {
  readonly axes: readonly number[];
  readonly size: Dimension;
}

function joinedAxes(order: readonly number[], from: Dimensions, sizes: Dimensions): Joined[] | undefined {
  // Axes of one element lie nowhere.
  const places = from.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  const rest = [...order];
  const groups: Joined[] = [];
  for (const size of sizes) {
    const axes: number[] = [];
    let product: Dimension = 1;
    while (!sameSize(product, size)) {
      const axis = rest.shift();
      if (axis === undefined) return undefined;
      const previous = axes.at(-1);
      if (previous !== undefined && places.indexOf(axis) !== places.indexOf(previous) + 1) return undefined;
      axes.push(axis);
      product = times(product, from[axis] ?? 1);
    }
    groups.push({ axes, size });
  }
  return rest.length === 0 ? groups : undefined;
}

const forms: ReadonlyMap<string, Form> = new Map([
  ["Transpose", transpose],
  ["Reshape", reshape],
  ["Squeeze", squeeze],
  ["Gather", gather],
]);

/** A node that reads a value whose batch is not in front, done on that value's source; undefined where that has no such form. */
export function withBatchInFront(e: Emitter, node: SourceNode): readonly Slot[] | undefined {
  const [x] = node.inputs;
  const form = node.domain === "" ? forms.get(node.op) : undefined;
  const turned = form === undefined ? undefined : turnedFrom(e, x);
  if (form === undefined || turned === undefined || turned.order[0] === 0) return undefined;
  const [batch = 1] = typeOf(turned.source).shape;
  const result = isSymbolic(batch) ? form(e, node, turned) : undefined;
  return result === undefined ? undefined : [result];
}
