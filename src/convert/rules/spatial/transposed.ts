/**
 * The rule of a transposed convolution: the convolution by the mirrored kernel of its input with zeros between the elements, one fewer than the
 * stride. Zeros add nothing to a sum, so that it is exact.
 */

import { intsAttribute, stringAttribute } from "../../../ir/attributes.ts";
import { rowMajorStrides } from "../../../ir/types.ts";
import { convGeometry } from "../../../ops/build/conv-geometry.ts";
import type { IntegerWeight } from "../../integer-network.ts";
import { convolved, layerInputs } from "../layers.ts";
import { padded } from "../move-places.ts";
import { type IntegerRule, nodeShape, onlyThreeAxes, type RuleContext, unsupported } from "../rule.ts";
import { overOneAxis, overTwoAxes, windowOverTwo, withTwoAxes } from "./one-axis.ts";

/** A transposed convolution over one to three axes as a sum of integers. */
export const convTransposeRule: IntegerRule = (context) => {
  const { node, assembly } = context;
  const given = layerInputs(context);
  const kernel = given.weight.shape.slice(2);
  if (kernel.length > 3) throw unsupported(node, onlyThreeAxes(kernel.length));
  if (stringAttribute(node, "auto_pad", "NOTSET") !== "NOTSET") throw unsupported(node, "it pads by itself (auto_pad)");
  const { strides, dilations, pads, group } = convGeometry(node, given.codes.shape, kernel);
  const added = intsAttribute(
    node,
    "output_padding",
    kernel.map(() => 0),
  );
  const reach = kernel.map((size, axis) => (size - 1) * (dilations[axis] ?? 1));
  const begin = reach.map((size, axis) => size - (pads[axis] ?? 0));
  const end = reach.map((size, axis) => size - (pads[axis + kernel.length] ?? 0) + (added[axis] ?? 0));
  if ([...begin, ...end].some((size) => size < 0)) throw unsupported(node, "it cuts off more than its kernel reaches");
  const weight = mirrored(given.weight, group);
  const window = { kernel, strides: kernel.map(() => 1), dilations, pads: [...begin, ...end] };
  if (kernel.length > 1) {
    return convolved(context, {
      ...given,
      weight,
      geometry: { ...window, group },
      shape: nodeShape(node),
      spread: (tensor) => spread(context, tensor, strides),
    });
  }
  const [rows = 1, columns = 1, length = 1] = weight.shape;
  const sums = convolved(context, {
    ...given,
    codes: assembly.readyCodes(overTwoAxes(context, given.codes)) ?? given.codes,
    weight: { ...weight, shape: [rows, columns, 1, length] },
    geometry: { ...windowOverTwo(window), group },
    shape: withTwoAxes(nodeShape(node)),
    spread: (tensor) => spread(context, tensor, [1, ...strides]),
  });
  return overOneAxis(context, sums);
};

/** [C, K/group, …] → [K, C/group, …], every kernel mirrored along all of its axes. */
function mirrored(weight: IntegerWeight, group: number): IntegerWeight {
  const [channels = 1, columns = 1, ...kernel] = weight.shape;
  const window = kernel.reduce((product, size) => product * size, 1);
  const rows = channels / group;
  const codes = new Int32Array(weight.codes.length);
  for (let c = 0; c < channels; c++) {
    const g = Math.floor(c / rows);
    for (let k = 0; k < columns; k++) {
      const from = (c * columns + k) * window;
      const to = ((g * columns + k) * rows + (c % rows)) * window;
      for (let i = 0; i < window; i++) codes[to + window - 1 - i] = weight.codes[from + i] ?? 0;
    }
  }
  const { scales } = weight;
  const repeated =
    scales.length === 1 ? scales : Float32Array.from({ length: columns * group }, (_, k) => scales[k % columns] ?? 1);
  return { ...weight, shape: [columns * group, rows, ...kernel], codes, scales: repeated };
}

/** Codes with zeros between them. */
function spread({ assembly, node }: RuleContext, tensor: number, strides: readonly number[]): number {
  if (strides.every((stride) => stride === 1)) return tensor;
  const { shape, form, name } = assembly.tensor(tensor);
  const [, ...sizes] = shape;
  const steps = rowMajorStrides(sizes);
  const places = sizes.map((size, axis) => {
    const stride = axis === 0 ? 1 : (strides[axis - 1] ?? 1);
    const step = steps[axis] ?? 1;
    return Int32Array.from({ length: (size - 1) * stride + 1 }, (_, i) =>
      i % stride === 0 ? (i / stride) * step : padded,
    );
  });
  return assembly.add(`${node.name}.spread ${name}`, [1, ...places.map(({ length }) => length)], form, (output) => ({
    op: "MoveCodes",
    name: `${node.name}.spread`,
    input: tensor,
    output,
    places,
    fill: form.zeroPoint,
  }));
}
