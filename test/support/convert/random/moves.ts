/** Layers of random networks that move elements, or interpolate between them. */
import type { GraphBuilder, Value } from "../../../../src/ir/graph.ts";
import { float32Tensor } from "../../../../src/ir/tensor.ts";
import { int64Constant } from "../../../../src/ops/build/operands.ts";
import { gather } from "../../../../src/ops/families/shape/indexing.ts";
import {
  concat,
  depthToSpace,
  pad,
  reshape,
  slice,
  spaceToDepth,
  split,
  transpose,
} from "../../../../src/ops/families/shape/shape-ops.ts";

/** What a layer that only moves elements does. */
export const moves = [
  "halves swapped",
  "channels shuffled",
  "cropped",
  "padded",
  "enlarged",
  "transposed",
  "flipped",
  "pixels shuffled",
  "channels picked",
  "tiled",
] as const;
/** One of them. */
export type Move = (typeof moves)[number];

/** Linear interpolation: twice as large by half pixels or from the corner, or by one corner to the other. */
export function interpolated(b: GraphBuilder, x: Value, stride: 1 | 2, isAligned: boolean): Value {
  const [, , ...sizes] = x.type.shape;
  if (isAligned) {
    const target = int64Constant(
      b,
      sizes.map((size, i) => size + stride + i),
    );
    const axes = sizes.map((_, i) => i + 2);
    const attributes = { axes, mode: "linear", coordinate_transformation_mode: "align_corners" };
    return b.one("Resize", [x, undefined, undefined, target], attributes);
  }
  const scales = b.constant(float32Tensor([sizes.length + 2], Float32Array.of(1, 1, ...sizes.map(() => 2))));
  const coordinate_transformation_mode = stride === 1 ? "half_pixel" : "asymmetric";
  return b.one("Resize", [x, undefined, scales], { mode: "linear", coordinate_transformation_mode });
}

/** Elements at other places, padded or repeated. */
export function moved(b: GraphBuilder, x: Value, move: Move): Value {
  const [, channels = 1, ...sizes] = x.type.shape;
  const half = Math.floor(channels / 2);
  const isImage = sizes.length === 2;
  switch (move) {
    case "halves swapped": {
      if (half === 0) return x;
      const [first, second] = split(b, x, 1, [half, channels - half]);
      return first === undefined || second === undefined ? x : concat(b, [second, first], 1);
    }
    case "channels shuffled": {
      if (channels % 2 !== 0) return x;
      const groups = reshape(b, x, [0, 2, half, ...sizes]);
      return reshape(b, transpose(b, groups, [0, 2, 1, ...sizes.map((_, i) => i + 3)]), [0, channels, ...sizes]);
    }
    case "cropped": {
      if ((sizes[0] ?? 1) < 2) return x;
      const axes = sizes.map((_, i) => i + 2);
      const [starts, steps] = [sizes.map((_, i) => 1 - i), sizes.map((_, i) => 1 + i)];
      return slice(b, x, { axes, starts, ends: sizes, steps });
    }
    case "padded": {
      const rest = sizes.slice(1);
      return pad(b, x, [0, 0, 1, ...rest.map(() => 0), 0, 0, 0, ...rest.map(() => 2)]);
    }
    case "enlarged": {
      const scales = b.constant(float32Tensor([sizes.length + 2], Float32Array.of(1, 1, ...sizes.map(() => 2))));
      const attributes = { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };
      return b.one("Resize", [x, undefined, scales], attributes);
    }
    case "transposed":
      return isImage ? transpose(b, x, [0, 1, 3, 2]) : x;
    case "flipped":
      return slice(b, x, { axes: [2], starts: [-1], ends: [Number.MIN_SAFE_INTEGER], steps: [-1] });
    case "pixels shuffled":
      if (isImage && channels % 4 === 0) return depthToSpace(b, x, 2, "CRD");
      return isImage && sizes.every((size) => size % 2 === 0) ? spaceToDepth(b, x, 2) : x;
    case "channels picked":
      return gather(b, x, int64Constant(b, [channels - 1, 0, half]), 1);
    case "tiled":
      return b.one("Tile", [x, int64Constant(b, [1, 1, ...sizes.map((_, i) => 1 + i)])]);
  }
}
