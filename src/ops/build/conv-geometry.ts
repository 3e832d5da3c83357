/** The geometry of convolutions and pooling windows: strides, dilations, pads, and the sizes that follow from them. */
import { type AttributeSource, intAttribute, intsAttribute, stringAttribute } from "../../ir/attributes.ts";
import type { Attributes } from "../../ir/graph.ts";
import type { Shape } from "../../ir/types.ts";

/** The geometry of a convolution over any number of spatial axes, every default filled in. */
export interface ConvGeometry {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begin of each spatial axis, then end of each. */
  readonly pads: readonly number[];
  readonly group: number;
}

/** Reads the geometry from a node's attributes; `auto_pad` is resolved with the shapes. */
export function convGeometry(source: AttributeSource, x: Shape, kernel: readonly number[]): ConvGeometry {
  const ones = kernel.map(() => 1);
  const strides = intsAttribute(source, "strides", ones);
  const dilations = intsAttribute(source, "dilations", ones);
  const group = intAttribute(source, "group", 1);
  const none = [...kernel, ...kernel].map(() => 0);
  const explicit = intsAttribute(source, "pads", none);
  const mode = stringAttribute(source, "auto_pad", "NOTSET");
  const pads = mode === "NOTSET" ? explicit : automaticPads(mode, x.slice(2), kernel, strides, dilations);
  return { strides, dilations, pads, group };
}

/** ONNX's `auto_pad`: SAME keeps ⌈size/stride⌉ outputs, the odd element going to the end (UPPER) or begin (LOWER). */
export function automaticPads(
  mode: string,
  spatial: readonly number[],
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): number[] {
  if (mode === "VALID") return [...kernel, ...kernel].map(() => 0);
  const begin: number[] = [];
  const end: number[] = [];
  spatial.forEach((size, axis) => {
    const stride = strides[axis] ?? 1;
    const extent = ((kernel[axis] ?? 1) - 1) * (dilations[axis] ?? 1) + 1;
    const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + extent - size);
    const small = Math.floor(total / 2);
    begin.push(mode === "SAME_LOWER" ? total - small : small);
    end.push(mode === "SAME_LOWER" ? small : total - small);
  });
  return [...begin, ...end];
}

/** Size of each spatial axis after a convolution. */
export function convOutputSizes(
  spatial: readonly number[],
  kernel: readonly number[],
  geometry: ConvGeometry,
): number[] {
  return spatial.map((size, axis) => {
    const padded = size + (geometry.pads[axis] ?? 0) + (geometry.pads[axis + spatial.length] ?? 0);
    const extent = ((kernel[axis] ?? 1) - 1) * (geometry.dilations[axis] ?? 1) + 1;
    return Math.floor((padded - extent) / (geometry.strides[axis] ?? 1)) + 1;
  });
}

/** Sizes with ceil_mode: a last partial window counts when it starts inside the input or the padding before it. */
export function ceilOutputSizes(
  spatial: readonly number[],
  kernel: readonly number[],
  geometry: ConvGeometry,
): number[] {
  return spatial.map((size, axis) => {
    const begin = geometry.pads[axis] ?? 0;
    const padded = size + begin + (geometry.pads[axis + spatial.length] ?? 0);
    const extent = ((kernel[axis] ?? 1) - 1) * (geometry.dilations[axis] ?? 1) + 1;
    const stride = geometry.strides[axis] ?? 1;
    const count = Math.ceil((padded - extent) / stride) + 1;
    return (count - 1) * stride >= size + begin ? count - 1 : count;
  });
}

/** The geometry as a node's attributes. */
export function geometryAttributes(geometry: ConvGeometry): Attributes {
  return {
    strides: geometry.strides,
    dilations: geometry.dilations,
    pads: geometry.pads,
    group: geometry.group,
  };
}

/**
 * The pads of the convolution that gives dW, with x as its image and dY as its kernel. Where the stride leaves a remainder
 * the last rows of x meet no kernel: there is less padding at the end, or there are rows too many in the result.
 */
export function reachedPads(
  geometry: ConvGeometry,
  kernel: readonly number[],
  spatial: readonly number[],
  outputs: readonly number[],
): number[] {
  const begin = kernel.map((_, axis) => geometry.pads[axis] ?? 0);
  const end = kernel.map((taps, axis) => {
    const used = ((outputs[axis] ?? 0) - 1) * (geometry.strides[axis] ?? 1) + 1;
    const reach = used + (taps - 1) * (geometry.dilations[axis] ?? 1);
    return Math.max(0, reach - (spatial[axis] ?? 0) - (begin[axis] ?? 0));
  });
  return [...begin, ...end];
}
