/** Rules of pooling, and of what only moves elements: those commute with a quantizer and are done on codes. */
import { intAttribute, intsAttribute } from "../../ir/attributes.ts";
import { convGeometry } from "../../ops/build/conv-geometry.ts";
import { axisSampleFirst } from "../assembly/sample-shape.ts";
import { type Symbolic, uniformSum } from "../assembly/symbolic.ts";
import type { WindowGeometry } from "../integer-network.ts";
import { sumBounds } from "../ranges.ts";
import { type IntegerRule, nodeShape, onlyThreeAxes, type RuleContext, symbolicInput, unsupported } from "./rule.ts";
import { overOneAxis, overTwoAxes, windowOverTwo, withTwoAxes } from "./spatial/one-axis.ts";
import { averageWithinBorder } from "./spatial/resampling.ts";

function quantizable(context: RuleContext, value: Symbolic): Symbolic {
  if (value.kind === "weight" || value.kind === "constant") {
    throw unsupported(context.node, `its input "${value.name}" is a parameter`);
  }
  return value;
}

/** Pads at the end as the output's size needs them, which covers ceil_mode. */
function windowOf(context: RuleContext, x: Symbolic): WindowGeometry {
  const { node } = context;
  const kernel = intsAttribute(node, "kernel_shape");
  if (kernel.length > 3) throw unsupported(node, onlyThreeAxes(kernel.length));
  const { strides, dilations, pads } = convGeometry(node, x.shape, kernel);
  const sizes = nodeShape(node).slice(2);
  const axes = kernel.length;
  const end = kernel.map((size, axis) => {
    const extent = (size - 1) * (dilations[axis] ?? 1) + 1;
    const reach = ((sizes[axis] ?? 1) - 1) * (strides[axis] ?? 1) + extent;
    return Math.max(pads[axis + axes] ?? 0, reach - (x.shape[axis + 2] ?? 0) - (pads[axis] ?? 0));
  });
  return { kernel, strides, dilations, pads: [...pads.slice(0, axes), ...end] };
}

/** Max pooling on codes. */
export const maxPoolRule: IntegerRule = (context) => {
  const { node } = context;
  const x = quantizable(context, symbolicInput(context, 0));
  const own = windowOf(context, x);
  const isLine = own.kernel.length === 1;
  const window = isLine ? windowOverTwo(own) : own;
  const pooled = context.assembly.rearranged({
    kind: "rearranged",
    name: node.name,
    shape: isLine ? withTwoAxes(nodeShape(node)) : nodeShape(node),
    inputs: [isLine ? overTwoAxes(context, x) : x],
    make: ([input = 0], output) => ({ op: "MaxPoolCodes", name: node.name, input, output, ...window }),
  });
  return isLine ? overOneAxis(context, pooled) : pooled;
};

/** A change of shape on codes. */
export const reshapeRule: IntegerRule = (context) => {
  const { node } = context;
  const x = symbolicInput(context, 0);
  // Axes of one element, that of the sample among them, are only written elsewhere.
  if (x.kind !== "constant" && x.shape.join() === nodeShape(node).join()) return x;
  return context.assembly.rearranged({
    kind: "rearranged",
    name: node.name,
    shape: nodeShape(node),
    inputs: [quantizable(context, x)],
    make: ([input = 0], output) => ({ op: "ReshapeCodes", name: node.name, input, output }),
  });
};

/** Concatenation of codes on one grid. */
export const concatRule: IntegerRule = (context) => {
  const { node } = context;
  const shape = nodeShape(node);
  const axis = axisSampleFirst(node.outputs[0]?.type.shape ?? [], intAttribute(node, "axis"));
  return context.assembly.rearranged({
    kind: "rearranged",
    name: node.name,
    shape,
    inputs: node.inputs.map((_, index) => symbolicInput(context, index)),
    make: (inputs, output) => ({ op: "ConcatCodes", name: node.name, inputs, output, axis }),
  });
};

/** A sum over each window; the division goes into the factor. */
function average(context: RuleContext, own: WindowGeometry): Symbolic {
  const { assembly, node } = context;
  const isLine = own.kernel.length === 1;
  if (own.kernel.length > 3) throw unsupported(node, onlyThreeAxes(own.kernel.length));
  const window = isLine ? windowOverTwo(own) : own;
  const { name } = node;
  const x = quantizable(context, symbolicInput(context, 0));
  if (x.kind === "data") throw unsupported(node, "its input is not quantized");
  const count = window.kernel.reduce((product, size) => product * size, 1);
  const isPadded = window.pads.some((size) => size > 0);
  const read = assembly.readyCodes(x) ?? assembly.materialize(x, count);
  const codes = isLine ? (assembly.readyCodes(overTwoAxes(context, read)) ?? read) : read;
  const { form } = assembly.tensor(codes.tensor);
  if (isPadded && form.offset !== undefined) {
    throw unsupported(node, "its windows reach over the border, where the offset of its input's codes is not added");
  }
  const shape = isLine ? withTwoAxes(nodeShape(node)) : nodeShape(node);
  const bounds = sumBounds(1, count, form);
  const sums = {
    kind: "accumulator",
    low: bounds.low[0] ?? 0,
    high: bounds.high[0] ?? 0,
    scale: 1,
    zeroPoint: 0,
  } as const;
  const tensor = assembly.add(name, shape, sums, (output) => ({
    op: "SumPool",
    name,
    input: codes.tensor,
    output,
    ...window,
  }));
  const sum = uniformSum(
    { name, shape },
    { tensor, inputScale: form.scale },
    { gain: 1 / count, offset: form.offset ?? 0 },
  );
  return isLine ? overOneAxis(context, sum) : sum;
}

/** The average over all spatial axes as a sum. */
export const globalAverageRule: IntegerRule = (context) => {
  const kernel = symbolicInput(context, 0).shape.slice(2);
  const ones = kernel.map(() => 1);
  return average(context, { kernel, strides: ones, dilations: ones, pads: [...kernel, ...kernel].map(() => 0) });
};

/** Average pooling as a sum. */
export const averagePoolRule: IntegerRule = (context) => {
  const { node, assembly } = context;
  const x = quantizable(context, symbolicInput(context, 0));
  const window = windowOf(context, x);
  const isPadded = window.pads.some((pad) => pad > 0);
  if (intAttribute(node, "count_include_pad", 0) === 0 && isPadded) {
    if (x.kind === "data") throw unsupported(node, "its input is not quantized");
    const count = window.kernel.reduce((product, size) => product * size, 1);
    return averageWithinBorder(context, assembly.readyCodes(x) ?? assembly.materialize(x, count), window);
  }
  const { pads } = convGeometry(node, x.shape, window.kernel);
  if (window.pads.join() !== pads.join()) {
    throw unsupported(
      node,
      "its last windows reach beyond the padding (ceil_mode)",
      "Use count_include_pad=0, or pad explicitly.",
    );
  }
  return average(context, window);
};
