/** Pooling over windows, and over everything: type rules and gradients. */

import { intAttribute, intsAttribute, stringAttribute } from "../../ir/attributes.ts";
import {
  type GraphBuilder,
  type Node,
  type OperatorCall,
  onnxDomain,
  subbyteDomain,
  type Value,
} from "../../ir/graph.ts";
import { filled } from "../../ir/tensor.ts";
import { elementCount, type Shape, type TensorType } from "../../ir/types.ts";
import { ceilOutputSizes, convGeometry, convOutputSizes } from "../build/conv-geometry.ts";
import { type GradientRule, type Lowering, type OperatorDefinition, requiredInput, typeError } from "../definition.ts";
import { globalMaxPoolUpgrades } from "../rewrite/upgrades.ts";
import { windowUpgrades } from "../rewrite/windows.ts";
import { divide, multiply } from "./elementwise.ts";
import { expand, reshape } from "./shape/shape-ops.ts";

/** Window of a pooling. */
export interface PoolOptions {
  readonly kernel: readonly number[];
  readonly strides?: readonly number[];
  readonly pads?: readonly number[];
  readonly countIncludePad?: boolean;
  /** Whether a last window that is not full counts. */
  readonly ceilMode?: boolean;
}

function poolAttributes(options: PoolOptions) {
  return {
    kernel_shape: options.kernel,
    strides: options.strides ?? options.kernel.map(() => 1),
    pads: options.pads ?? [...options.kernel, ...options.kernel].map(() => 0),
    ...(options.ceilMode === true ? { ceil_mode: 1 } : {}),
  };
}

/** The largest element of each window; x[N,C,...]. */
export function maxPool(builder: GraphBuilder, x: Value, options: PoolOptions): Value {
  return builder.one("MaxPool", [x], poolAttributes(options));
}

/** The mean of each window; padding counts only with `countIncludePad`. */
export function averagePool(builder: GraphBuilder, x: Value, options: PoolOptions): Value {
  const attributes = { ...poolAttributes(options), count_include_pad: options.countIncludePad ? 1 : 0 };
  return builder.one("AveragePool", [x], attributes);
}

/** The mean over all spatial axes: [N,C,...] → [N,C,1,...]. */
export function globalAveragePool(builder: GraphBuilder, x: Value): Value {
  return builder.one("GlobalAveragePool", [x]);
}

function inferWindowed(call: OperatorCall): TensorType {
  const x = requiredInput(call, 0);
  const [batch = 0, channels = 0, ...spatial] = x.shape;
  const kernel = intsAttribute(call, "kernel_shape");
  if (kernel.length !== spatial.length) throw typeError(call, "kernel_shape must have one entry for each spatial axis");
  const geometry = convGeometry(call, x.shape, kernel);
  const ceil = intAttribute(call, "ceil_mode", 0) === 1 && stringAttribute(call, "auto_pad", "NOTSET") === "NOTSET";
  const sizes = ceil ? ceilOutputSizes(spatial, kernel, geometry) : convOutputSizes(spatial, kernel, geometry);
  if (sizes.some((size) => size < 1)) throw typeError(call, "the window is larger than the padded input");
  return { dtype: x.dtype, shape: [batch, channels, ...sizes] };
}

function inferMaxPool(call: OperatorCall): TensorType[] {
  const y = inferWindowed(call);
  const indices: TensorType = { dtype: "int64", shape: y.shape };
  return [y, indices].slice(0, call.outputCount ?? 1);
}

const maxPoolGradient: GradientRule = ({ builder, node, outputGradient, input }) => [
  builder.one("MaxPoolGrad", [outputGradient(0), input(0)], node.attributes, { domain: subbyteDomain }),
];

/**
 * Adds each window's gradient at the position of its maximum, the first one where there are several (as torch does).
 * The engine's indices count within the whole tensor, so that one scatter over the flattened tensor serves all.
 */
const lowerMaxPoolGrad: Lowering = ({ builder, node, input }) => {
  const dy = input(0);
  const x = input(1);
  const [, indices] = builder.node("MaxPool", [x], node.attributes, { outputCount: 2 });
  if (indices === undefined) return [];
  const zeros = builder.constant(filled([elementCount(x.type.shape)], 0));
  const flat = [elementCount(dy.type.shape)];
  const scattered = builder.one(
    "ScatterElements",
    [zeros, reshape(builder, indices, flat), reshape(builder, dy, flat)],
    { axis: 0, reduction: "add" },
  );
  return [reshape(builder, scattered, x.type.shape)];
};

const averagePoolGradient: GradientRule = ({ builder, node, outputGradient, input }) => [
  spreadOverWindows(builder, node, outputGradient(0), input(0).type.shape),
];

/** dX of an average: dY divided by the number of elements of its window, spread by a transposed convolution with ones. */
function spreadOverWindows(builder: GraphBuilder, node: Node, dy: Value, shape: Shape): Value {
  const kernel = intsAttribute(node, "kernel_shape");
  const geometry = convGeometry(node, shape, kernel);
  const [batch = 0, channels = 0, ...spatial] = shape;
  const outSizes = dy.type.shape.slice(2);
  const counts = windowCounts(node, spatial, outSizes);
  const shares = divide(builder, dy, builder.constant(counts));
  const rank = kernel.length;
  // Elements behind the last window; with ceil_mode that one may reach beyond the padding instead.
  const behind = kernel.map((size, axis) => {
    const extent = (size - 1) * (geometry.dilations[axis] ?? 1) + 1;
    const pads = (geometry.pads[axis] ?? 0) + (geometry.pads[axis + rank] ?? 0);
    const reached = ((outSizes[axis] ?? 0) - 1) * (geometry.strides[axis] ?? 1) + extent - pads;
    return (spatial[axis] ?? 0) - reached;
  });
  const cut = [...kernel.map(() => 0), ...behind.map((count) => Math.max(0, -count))];
  const spread = builder.one(
    "ConvTranspose",
    [reshape(builder, shares, [batch * channels, 1, ...outSizes]), builder.constant(filled([1, 1, ...kernel], 1))],
    {
      kernel_shape: kernel,
      strides: geometry.strides,
      dilations: geometry.dilations,
      pads: geometry.pads.map((count, i) => count + (cut[i] ?? 0)),
      output_padding: behind.map((count) => Math.max(0, count)),
    },
  );
  return reshape(builder, spread, shape);
}

/** The number of elements that each window averages, as a tensor that broadcasts over dY. */
function windowCounts(node: Node, spatial: readonly number[], outSizes: readonly number[]) {
  const kernel = intsAttribute(node, "kernel_shape");
  const geometry = convGeometry(node, [1, 1, ...spatial], kernel);
  const includePad = intAttribute(node, "count_include_pad", 0) === 1;
  const perAxis = spatial.map((size, axis) =>
    Array.from({ length: outSizes[axis] ?? 0 }, (_, position) => {
      const taps = kernel[axis] ?? 1;
      const [before, after] = includePad
        ? [geometry.pads[axis] ?? 0, geometry.pads[axis + spatial.length] ?? 0]
        : [0, 0];
      const start = position * (geometry.strides[axis] ?? 1) - (geometry.pads[axis] ?? 0);
      const inside = Array.from({ length: taps }, (_, tap) => start + tap * (geometry.dilations[axis] ?? 1));
      return inside.filter((index) => index >= -before && index < size + after).length;
    }),
  );
  const counts = filled([1, 1, ...outSizes], 1);
  const data = counts.data;
  if (!(data instanceof Float32Array)) return counts;
  for (let flat = 0; flat < data.length; flat++) {
    let rest = flat;
    let product = 1;
    for (let axis = outSizes.length - 1; axis >= 0; axis--) {
      const size = outSizes[axis] ?? 1;
      product *= perAxis[axis]?.[rest % size] ?? 1;
      rest = Math.floor(rest / size);
    }
    data[flat] = product;
  }
  return counts;
}

const globalAverageGradient: GradientRule = ({ builder, outputGradient, input }) => {
  const { shape } = input(0).type;
  const share = multiply(builder, outputGradient(0), 1 / elementCount(shape.slice(2)));
  return [expand(builder, share, shape)];
};

function inferGlobal(call: OperatorCall): TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  return [{ dtype, shape: shape.map((size, axis) => (axis < 2 ? size : 1)) }];
}

/** Maximum over windows. */
export const maxPoolOperator: OperatorDefinition = {
  op: "MaxPool",
  domain: onnxDomain,
  upgrades: windowUpgrades,
  infer: inferMaxPool,
  gradient: maxPoolGradient,
  traits: { comparable: true, passesCodes: "pooled", nonNegative: "when-first-input" },
};

/** Average over windows. */
export const averagePoolOperator: OperatorDefinition = {
  op: "AveragePool",
  domain: onnxDomain,
  upgrades: windowUpgrades,
  infer: (call) => [inferWindowed(call)],
  gradient: averagePoolGradient,
  traits: { readsCodes: true, passesCodes: "pooled", nonNegative: "when-first-input" },
};

/** Average over all spatial axes. */
export const globalAveragePoolOperator: OperatorDefinition = {
  op: "GlobalAveragePool",
  domain: onnxDomain,
  blocked: "average",
  infer: inferGlobal,
  gradient: globalAverageGradient,
  traits: { comparable: true, readsCodes: true, passesCodes: "pooled", nonNegative: "when-first-input" },
};

/** The operators of this file. */
export const poolingOperators: readonly OperatorDefinition[] = [
  maxPoolOperator,
  { op: "MaxPoolGrad", domain: subbyteDomain, infer: (call) => [requiredInput(call, 1)], lower: lowerMaxPoolGrad },
  averagePoolOperator,
  globalAveragePoolOperator,
  {
    op: "GlobalMaxPool",
    domain: onnxDomain,
    reading: "rewritten",
    upgrades: globalMaxPoolUpgrades,
    infer: inferGlobal,
    traits: { passesCodes: "pooled", nonNegative: "when-first-input" },
  },
];
