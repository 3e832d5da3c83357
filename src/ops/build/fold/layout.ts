/** Values on constants of operators that arrange, pick and repeat elements, and of those that make tensors out of shapes. */

import { intAttribute, stringAttribute } from "../../../ir/attributes.ts";
import { allocate, makeTensor, type Tensor } from "../../../ir/tensor.ts";
import { elementCount, rowMajorStrides, type Shape, transposedIndex } from "../../../ir/types.ts";
import { permutationOf } from "../operands.ts";
import {
  broadcastIndex,
  type Fold,
  type FoldRule,
  fromNumbers,
  numbersOf,
  ravel,
  rearranged,
  stridedIndex,
  unravel,
} from "./data.ts";

/** The same elements in the shape of the result. */
const reshaped: Fold = ({ inputs: [input], types: [type] }) =>
  input === undefined || type === undefined ? undefined : [{ ...input, shape: type.shape }];

const transpose: Fold = (call) => {
  const [input] = call.inputs;
  const [type] = call.types;
  if (input === undefined || type === undefined) return undefined;
  const permutation = permutationOf(call, input.shape.length);
  if (permutation.join() === "1,0" && input.data instanceof Float32Array) {
    return [makeTensor("float32", type.shape, transposed(input.data, input.shape))];
  }
  return [rearranged(input, type.shape, transposedIndex(input.shape, permutation))];
};

/** A transposed matrix: weights are large, so it goes by blocks that stay in the cache. */
function transposed(data: Float32Array, [rows = 0, columns = 0]: Shape): Float32Array {
  const result = new Float32Array(data.length);
  const block = 32;
  for (let top = 0; top < rows; top += block) {
    const bottom = Math.min(rows, top + block);
    for (let left = 0; left < columns; left += block) {
      const right = Math.min(columns, left + block);
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < right; j++) result[j * rows + i] = data[i * columns + j] ?? 0;
      }
    }
  }
  return result;
}

/** Blocks of channels as blocks of pixels; of the two orders of a block's channels, `CRD` has the pixels inside. */
const depthToSpace: Fold = (call) => {
  const [input] = call.inputs;
  const [type] = call.types;
  if (input === undefined || type === undefined) return undefined;
  const block = intAttribute(call, "blocksize");
  const isInside = stringAttribute(call, "mode", "DCR") === "CRD";
  const channels = type.shape[1] ?? 1;
  return [
    rearranged(input, type.shape, (i) => {
      const [n = 0, c = 0, y = 0, x = 0] = unravel(i, type.shape);
      const pixel = (y % block) * block + (x % block);
      const channel = isInside ? c * block * block + pixel : pixel * channels + c;
      return ravel([n, channel, Math.floor(y / block), Math.floor(x / block)], input.shape);
    }),
  ];
};

const spaceToDepth: Fold = (call) => {
  const [input] = call.inputs;
  const [type] = call.types;
  if (input === undefined || type === undefined) return undefined;
  const block = intAttribute(call, "blocksize");
  const channels = input.shape[1] ?? 1;
  return [
    rearranged(input, type.shape, (i) => {
      const [n = 0, c = 0, y = 0, x = 0] = unravel(i, type.shape);
      const pixel = Math.floor(c / channels);
      return ravel([n, c % channels, y * block + Math.floor(pixel / block), x * block + (pixel % block)], input.shape);
    }),
  ];
};

const expand: Fold = ({ inputs: [input], types: [type] }) =>
  input === undefined || type === undefined
    ? undefined
    : [rearranged(input, type.shape, broadcastIndex(input.shape, type.shape))];

const tile: Fold = ({ inputs: [input], types: [type] }) => {
  if (input === undefined || type === undefined) return undefined;
  const { shape } = input;
  return [
    rearranged(input, type.shape, (i) =>
      ravel(
        unravel(i, type.shape).map((place, axis) => place % (shape[axis] ?? 1)),
        shape,
      ),
    ),
  ];
};

function fromFront(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

const gather: Fold = (call) => {
  const [input, places] = call.inputs;
  const [type] = call.types;
  const indices = numbersOf(places);
  if (input === undefined || places === undefined || type === undefined || indices === undefined) return undefined;
  const axis = fromFront(intAttribute(call, "axis", 0), input.shape.length);
  const size = input.shape[axis] ?? 0;
  if (indices.some((index) => index < -size || index >= size)) return undefined;
  const inner = elementCount(input.shape.slice(axis + 1));
  const count = indices.length;
  return [
    rearranged(input, type.shape, (i) => {
      const index = fromFront(indices[Math.floor(i / inner) % count] ?? 0, size);
      return (Math.floor(i / (inner * count)) * size + index) * inner + (i % inner);
    }),
  ];
};

const concat: Fold = (call) => {
  const [type] = call.types;
  if (type === undefined) return undefined;
  const axis = fromFront(intAttribute(call, "axis"), type.shape.length);
  const parts = call.inputs.filter((input) => input !== undefined);
  if (parts.length !== call.inputs.length) return undefined;
  if (parts.some(({ data }) => !ArrayBuffer.isView(data))) return undefined;
  const rowOf = (shape: Shape) => elementCount(shape.slice(axis));
  const row = rowOf(type.shape);
  const outer = elementCount(type.shape.slice(0, axis));
  const target = allocate(type.dtype, elementCount(type.shape));
  let start = 0;
  for (const part of parts) {
    const length = rowOf(part.shape);
    for (let o = 0; o < outer; o++) copyRow(target, part.data, o * row + start, o * length, length);
    start += length;
  }
  return [makeTensor(type.dtype, type.shape, target)];
};

function copyRow(
  target: Exclude<Tensor["data"], readonly string[]>,
  source: Tensor["data"],
  to: number,
  from: number,
  length: number,
): void {
  if (target instanceof BigInt64Array || target instanceof BigUint64Array) {
    if (source instanceof BigInt64Array || source instanceof BigUint64Array)
      target.set(source.subarray(from, from + length), to);
    return;
  }
  if (!ArrayBuffer.isView(source) || source instanceof BigInt64Array || source instanceof BigUint64Array) return;
  target.set(source.subarray(from, from + length), to);
}

/** Start, step and axis of each range of a Slice, as numpy clamps them. */
const slice: Fold = ({ inputs, types: [type] }) => {
  const [input] = inputs;
  const [starts, ends] = [numbersOf(inputs[1]), numbersOf(inputs[2])];
  if (input === undefined || type === undefined || starts === undefined || ends === undefined) return undefined;
  const axes = numbersOf(inputs[3]) ?? starts.map((_, i) => i);
  const steps = numbersOf(inputs[4]) ?? starts.map(() => 1);
  const first = input.shape.map(() => 0);
  const stride = input.shape.map(() => 1);
  const strides = rowMajorStrides(input.shape);
  axes.forEach((given, i) => {
    const axis = fromFront(given, input.shape.length);
    const size = input.shape[axis] ?? 0;
    const step = steps[i] ?? 1;
    const start = fromFront(starts[i] ?? 0, size);
    first[axis] = step > 0 ? Math.min(Math.max(start, 0), size) : Math.min(Math.max(start, 0), size - 1);
    stride[axis] = step;
  });
  return [
    rearranged(
      input,
      type.shape,
      stridedIndex(
        type.shape,
        strides.map((each, axis) => each * (stride[axis] ?? 1)),
        strides.reduce((sum, each, axis) => sum + each * (first[axis] ?? 0), 0),
      ),
    ),
  ];
};

const split: Fold = (call) => {
  const [input] = call.inputs;
  if (input === undefined) return undefined;
  const axis = fromFront(intAttribute(call, "axis", 0), input.shape.length);
  const strides = rowMajorStrides(input.shape);
  let start = 0;
  return call.types.map(({ shape }) => {
    const offset = start * (strides[axis] ?? 1);
    start += shape[axis] ?? 0;
    return rearranged(input, shape, stridedIndex(shape, strides, offset));
  });
};

/** The place that a padded position of an axis repeats; undefined where it holds the constant. */
function paddedPlace(mode: string, position: number, size: number): number | undefined {
  if (position >= 0 && position < size) return position;
  switch (mode) {
    case "edge":
      return Math.min(Math.max(position, 0), size - 1);
    case "wrap":
      return fromFront(position % size, size);
    case "reflect": {
      if (size === 1) return 0;
      const turn = fromFront(position % (2 * size - 2), 2 * size - 2);
      return turn < size ? turn : 2 * size - 2 - turn;
    }
    default:
      return undefined;
  }
}

const pad: Fold = (call) => {
  const [input, pads, fill, axes] = call.inputs;
  const [type] = call.types;
  const [counts, numbers] = [numbersOf(pads), numbersOf(input)];
  if (input === undefined || type === undefined || counts === undefined || numbers === undefined) return undefined;
  const { shape } = input;
  const mode = stringAttribute(call, "mode", "constant");
  const value = numbersOf(fill)?.[0] ?? 0;
  const given = numbersOf(axes) ?? shape.map((_, axis) => axis);
  const before = shape.map(() => 0);
  given.forEach((axis, i) => {
    before[fromFront(axis, shape.length)] = counts[i] ?? 0;
  });
  const strides = rowMajorStrides(shape);
  const places = type.shape.map((size, axis) =>
    Array.from({ length: size }, (_, position) => {
      const place = paddedPlace(mode, position - (before[axis] ?? 0), shape[axis] ?? 0);
      return place === undefined ? undefined : place * (strides[axis] ?? 1);
    }),
  );
  const result = Array.from({ length: elementCount(type.shape) }, (_, i) => {
    let rest = i;
    let source = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = type.shape[axis] ?? 1;
      const place = places[axis]?.[rest % size];
      if (place === undefined) return value;
      source += place;
      rest = Math.floor(rest / size);
    }
    return numbers[source] ?? 0;
  });
  return [fromNumbers(type, result)];
};

const constantOfShape: Fold = ({ attributes: { value }, types: [type] }) => {
  if (type === undefined) return undefined;
  const tensor = typeof value === "object" && "tensor" in value ? value.tensor : undefined;
  const number = tensor === undefined ? 0 : numbersOf(tensor)?.[0];
  return number === undefined
    ? undefined
    : [fromNumbers(type, new Float64Array(elementCount(type.shape)).fill(number))];
};

const range: Fold = ({ inputs, types: [type] }) => {
  const [start, , step] = inputs.map((input) => numbersOf(input)?.[0]);
  if (type === undefined || start === undefined || step === undefined) return undefined;
  return [
    fromNumbers(
      type,
      Array.from({ length: elementCount(type.shape) }, (_, i) => start + i * step),
    ),
  ];
};

const triangle: Fold = (call) => {
  const [input, diagonal] = call.inputs;
  const [type] = call.types;
  const numbers = numbersOf(input);
  if (type === undefined || numbers === undefined) return undefined;
  const upper = intAttribute(call, "upper", 1) === 1;
  const offset = numbersOf(diagonal)?.[0] ?? 0;
  const result = numbers.map((value, i) => {
    const [row = 0, column = 0] = unravel(i, type.shape).slice(-2);
    return (upper ? column - row >= offset : column - row <= offset) ? value : 0;
  });
  return [fromNumbers(type, result)];
};

/** The places of elements that are not zero: its shape depends on the data, so it has no type rule. */
export function foldNonZero(input: Tensor): Tensor | undefined {
  const numbers = numbersOf(input);
  if (numbers === undefined || numbers.length > 1 << 20) return undefined;
  const places = numbers.flatMap((value, i) => (value === 0 ? [] : [unravel(i, input.shape)]));
  const rank = input.shape.length;
  const flat = Array.from({ length: rank }, (_, axis) => places.map((place) => place[axis] ?? 0)).flat();
  return fromNumbers({ dtype: "int64", shape: [rank, places.length] }, flat);
}

/** The value of operators that keep the elements in their order: Reshape, Flatten, Squeeze, Unsqueeze, Identity. */
export const foldReshape: FoldRule = { compute: reshaped, copies: true };
/** The value of Transpose. */
export const foldTranspose: FoldRule = { compute: transpose, copies: true };
/** The value of DepthToSpace. */
export const foldDepthToSpace: FoldRule = { compute: depthToSpace, copies: true };
/** The value of SpaceToDepth. */
export const foldSpaceToDepth: FoldRule = { compute: spaceToDepth, copies: true };
/** The value of Concat. */
export const foldConcat: FoldRule = { compute: concat, copies: true };
/** The value of Slice. */
export const foldSlice: FoldRule = { compute: slice, copies: true };
/** The value of Split. */
export const foldSplit: FoldRule = { compute: split, copies: true };
/** The value of Expand. */
export const foldExpand: FoldRule = { compute: expand, repeats: true };
/** The value of Tile. */
export const foldTile: FoldRule = { compute: tile, repeats: true };
/** The value of Gather. */
export const foldGather: FoldRule = { compute: gather };
/** The value of Pad. */
export const foldPad: FoldRule = { compute: pad };
/** The value of ConstantOfShape. */
export const foldConstantOfShape: FoldRule = { compute: constantOfShape };
/** The value of Range. */
export const foldRange: FoldRule = { compute: range };
/** The value of Trilu. */
export const foldTriangle: FoldRule = { compute: triangle };
