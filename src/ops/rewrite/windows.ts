/**
 * Forms of windows that the engine computes differently from the standard or refuses, with the same numbers in a form that it
 * has: automatic pads with dilation, a last partial window, and output padding as large as the stride.
 */

import { UnsupportedError } from "../../errors.ts";
import { intAttribute, intsAttribute, stringAttribute } from "../../ir/attributes.ts";
import { numbersIn } from "../../ir/size.ts";
import { ceilOutputSizes, convGeometry, convOutputSizes } from "../build/conv-geometry.ts";
import { type Rewrite, type Upgrade, without } from "./context.ts";
import { type SourceNode, typeOf } from "./slots.ts";

/** The sizes of the window; undefined where the input's sizes depend on the batch. */
function windowOf(node: SourceNode): { readonly x: readonly number[]; readonly kernel: readonly number[] } | undefined {
  const [data, weight] = node.inputs;
  const x = data && numbersIn(typeOf(data).shape.map((size, axis) => (axis === 0 ? 1 : size)));
  const filter = weight && numbersIn(typeOf(weight).shape);
  const kernel = node.attributes.kernel_shape === undefined ? filter?.slice(2) : intsAttribute(node, "kernel_shape");
  return x === undefined || kernel === undefined || x.length !== kernel.length + 2 ? undefined : { x, kernel };
}

/** The engine has no automatic pads with dilation. */
const explicitPads: Rewrite = (_, node) => {
  const isAutomatic = stringAttribute(node, "auto_pad", "NOTSET").startsWith("SAME");
  if (!isAutomatic || intsAttribute(node, "dilations", []).every((size) => size === 1)) return node;
  const window = windowOf(node);
  if (window === undefined) return node;
  const { pads } = convGeometry(node, window.x, window.kernel);
  return { ...node, attributes: { ...without(node.attributes, "auto_pad", "ceil_mode"), pads } };
};

/**
 * A last partial window that would begin in the padding at the end is left out, which the engine's inference of types forgets:
 * there, and where no window is partial, `ceil_mode` is written without it.
 */
const wholeWindows: Rewrite = (_, node) => {
  const window = windowOf(node);
  const isCeil = intAttribute(node, "ceil_mode", 0) === 1 && stringAttribute(node, "auto_pad", "NOTSET") === "NOTSET";
  if (!isCeil || window === undefined) return node;
  const { x, kernel } = window;
  const spatial = x.slice(2);
  const geometry = convGeometry(node, x, kernel);
  const wanted = ceilOutputSizes(spatial, kernel, geometry);
  const whole = convOutputSizes(spatial, kernel, geometry);
  if (wanted.every((size, axis) => size === whole[axis])) {
    return { ...node, attributes: without(node.attributes, "ceil_mode") };
  }
  return node;
};

/** The engine refuses output padding of a whole stride; what the pads at the end cut off need not be added first. */
const outputPadding: Rewrite = (_, node) => {
  const window = windowOf(node);
  const given = intsAttribute(node, "output_padding", []);
  if (window === undefined || given.length === 0 || stringAttribute(node, "auto_pad", "NOTSET") !== "NOTSET")
    return node;
  const { pads, strides } = convGeometry(node, window.x, window.kernel);
  const isWide = (padding: readonly number[]) => padding.some((size, axis) => size > 0 && size >= (strides[axis] ?? 1));
  if (!isWide(given)) return node;
  const rank = given.length;
  const shared = given.map((size, axis) => Math.min(size, pads[axis + rank] ?? 0));
  const left = given.map((size, axis) => size - (shared[axis] ?? 0));
  if (isWide(left)) {
    throw new UnsupportedError(
      `output padding ${given.join("x")} with strides ${strides.join("x")} is not computed by ONNX Runtime`,
      {
        where: node.where,
        remedy: "Export the model with an output padding below the stride, and a padding after it.",
      },
    );
  }
  const fewer = pads.map((size, i) => (i < rank ? size : size - (shared[i - rank] ?? 0)));
  return { ...node, attributes: { ...node.attributes, output_padding: left, pads: fewer } };
};

/** Convolutions may have automatic pads. */
export const convUpgrades: readonly Upgrade[] = [{ rewrite: explicitPads }];
/** Poolings may have automatic pads and partial windows. */
export const windowUpgrades: readonly Upgrade[] = [{ rewrite: explicitPads }, { rewrite: wholeWindows }];
/** Transposed convolutions may have output padding. */
export const convTransposeUpgrades: readonly Upgrade[] = [{ rewrite: outputPadding }];
