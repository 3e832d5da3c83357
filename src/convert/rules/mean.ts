/** The rule of a mean along axes: a sum over a window, whatever axes they are. */

import { intAttribute } from "../../ir/attributes.ts";
import { elementCount, rowMajorStrides } from "../../ir/types.ts";
import { axisSampleFirst } from "../assembly/sample-shape.ts";
import { type Affine, type Symbolic, uniformSum } from "../assembly/symbolic.ts";
import { sumBounds } from "../ranges.ts";
import { constantNumbers, type IntegerRule, nodeShape, type RuleContext, symbolicInput, unsupported } from "./rule.ts";
import { asIntegers } from "./tokens/integers.ts";

/** The axes that a node reduces, the sample first. */
function reducedAxes(context: RuleContext): number[] {
  const { node } = context;
  const shape = node.inputs[0]?.type.shape ?? [];
  const given = context.inputs[1] === undefined ? [] : constantNumbers(context, 1);
  if (given.length === 0 && intAttribute(node, "noop_with_empty_axes", 0) === 1) return [];
  const axes = given.length === 0 ? shape.map((_, axis) => axis) : given;
  return axes.map((axis) => axisSampleFirst(shape, axis)).filter((axis) => axis > 0);
}

/** A mean as a sum over a window; the division goes into the factor. */
export const meanRule: IntegerRule = (context) => reduced(context, "mean");

/** A sum over a window. */
export const totalRule: IntegerRule = (context) => reduced(context, "sum");

/** Elements are moved next to one another, unless they are already, and added up. */
function reduced(context: RuleContext, of: "mean" | "sum"): Symbolic {
  const { assembly, node } = context;
  const { name } = node;
  const x = symbolicInput(context, 0);
  if (x.kind === "data") throw unsupported(node, "its input is not quantized");
  const axes = reducedAxes(context);
  const { shape } = x;
  const kept = shape.map((_, axis) => axis).filter((axis) => axis > 0 && !axes.includes(axis));
  const sizes = (of: readonly number[]): number[] => of.map((axis) => shape[axis] ?? 1);
  const [rows, count] = [elementCount(sizes(kept)), elementCount(sizes(axes))];
  const codes = asIntegers(context, x) ?? assembly.readyCodes(x) ?? assembly.materialize(x, count);
  const { form } = assembly.tensor(codes.tensor);
  const strides = rowMajorStrides(shape);
  const order = [...kept, ...axes];
  const isInOrder = order.every((axis, i) => i === 0 || axis > (order[i - 1] ?? 0));
  const moved = isInOrder
    ? codes.tensor
    : assembly.add(`${name}.moved`, [1, ...sizes(order)], form, (output) => ({
        op: "MoveCodes",
        name: `${name}.moved`,
        input: codes.tensor,
        output,
        places: order.map((axis) => Int32Array.from({ length: shape[axis] ?? 1 }, (_, i) => i * (strides[axis] ?? 1))),
        fill: form.zeroPoint,
      }));
  const image = [1, rows, 1, count];
  const read = assembly.add(`${name}.rows`, image, form, (output) => ({
    op: "ReshapeCodes",
    name: `${name}.rows`,
    input: moved,
    output,
  }));
  const bounds = sumBounds(1, count, form);
  const sums = {
    kind: "accumulator",
    low: bounds.low[0] ?? 0,
    high: bounds.high[0] ?? 0,
    scale: 1,
    zeroPoint: 0,
  } as const;
  const tensor = assembly.add(name, [1, rows, 1, 1], sums, (output) => ({
    op: "SumPool",
    name,
    input: read,
    output,
    kernel: [1, count],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [0, 0, 0, 0],
  }));
  const isMean = of === "mean";
  const made = uniformSum(
    { name, shape: [1, rows, 1, 1] },
    { tensor, inputScale: form.scale },
    { gain: isMean ? 1 / count : 1, offset: (form.offset ?? 0) * (isMean ? 1 : count) },
  );
  return inShape(context, made);
}

/** A mean in the shape of the node's output. */
function inShape({ assembly, node }: RuleContext, mean: Affine): Symbolic {
  const shape = nodeShape(node);
  if (shape.join() === mean.shape.join()) return mean;
  const { name } = node;
  return assembly.rearranged({
    kind: "rearranged",
    name,
    shape,
    inputs: [mean],
    ...(shape[1] === mean.shape[1] ? { isView: true as const } : {}),
    make: ([input = 0], output) => ({ op: "ReshapeCodes", name, input, output }),
  });
}
