/** Windows in forms that the engine refuses or whose types it infers wrongly: read in a form with the same numbers that it has. */
import { describe, expect, it } from "vitest";
import { UnsupportedError } from "../../src/errors.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { toNumbers } from "../../src/ir/tensor.ts";
import { distance, fileOutputs, outputsOf } from "../support/onnx/imported.ts";
import { type FileText, type ModelAttribute, onnxModel, ramp } from "../support/onnx/model.ts";

type Attributes = Readonly<Record<string, ModelAttribute>>;

const [channels, side] = [2, 7];

function model(op: string, attributes: Attributes, weight?: readonly number[]): FileText {
  const inputs = weight === undefined ? ["x"] : ["x", "w"];
  return {
    inputs: { x: ["N", channels, side, side] },
    outputs: ["y"],
    nodes: [[op, inputs, ["y"], attributes]],
    ...(weight === undefined ? {} : { initializers: { w: ramp(...weight) } }),
  };
}

const outputs = (text: FileText) => outputsOf(importOnnx(onnxModel(text)), 1);

describe("automatic pads with dilation", () => {
  const cases = [1, 2, 3].flatMap((kernel) =>
    [1, 2].flatMap((stride) =>
      [2, 3].flatMap((dilation) =>
        ["SAME_UPPER", "SAME_LOWER"].map((mode) => [kernel, stride, dilation, mode] as const),
      ),
    ),
  );

  it.each(cases)(
    "are those that the standard says: kernel %i, stride %i, dilation %i, %s",
    async (size, stride, dilation, mode) => {
      const kernel_shape = [size, size];
      const shared = { kernel_shape, strides: [stride, stride], dilations: [dilation, dilation] };
      const total = Math.max(0, (Math.ceil(side / stride) - 1) * stride + dilation * (size - 1) + 1 - side);
      const [less, more] = [Math.floor(total / 2), Math.ceil(total / 2)];
      const pads = mode === "SAME_UPPER" ? [less, less, more, more] : [more, more, less, less];
      const weight = [3, channels, size, size];
      const explicit = await fileOutputs(onnxModel(model("Conv", { ...shared, pads }, weight)), {
        x: [1, channels, side, side],
      });
      const automatic = await outputs(model("Conv", { ...shared, auto_pad: mode }, weight));
      expect(distance(automatic.y, explicit.y)).toBeLessThan(1e-5);
    },
  );
});

describe("a last partial window", () => {
  const cases = ["MaxPool", "AveragePool"].flatMap((op) =>
    [1, 2, 3].flatMap((size) =>
      [1, 2, 3].flatMap((stride) => [0, 1].filter((pad) => pad < size).map((pad) => [op, size, stride, pad] as const)),
    ),
  );

  it.each(cases)(
    "has the sizes of the engine, before a layer: %s of %i, stride %i, padding %i",
    async (op, size, stride, pad) => {
      const attributes = {
        kernel_shape: [size, size],
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
        ceil_mode: 1,
      };
      const pool = model(op, attributes);
      const x = { x: [1, channels, side, side] };
      const pooled = (await fileOutputs(onnxModel(pool), x)).y ?? [];
      const weight = ramp(pooled.length, 3);
      const flat = {
        ...pool,
        nodes: [
          ...pool.nodes.map(([name, inputs]) => [name, inputs, ["p"], attributes] as const),
          ["Flatten", ["p"], ["f"]] as const,
          ["Gemm", ["f", "w"], ["y"]] as const,
        ],
        initializers: { w: weight },
      };
      // The engine refuses some of these files itself, because its inference counts a window too many.
      const matrix = toNumbers(weight);
      const expected = [0, 1, 2].map((column) =>
        pooled.reduce((sum, value, row) => sum + value * (matrix[3 * row + column] ?? 0), 0),
      );
      expect(distance((await outputs(flat)).y, expected)).toBeLessThan(1e-4);
    },
  );
});

describe("output padding of a whole stride", () => {
  const transposed = (pads: readonly number[]) =>
    model("ConvTranspose", { kernel_shape: [3, 3], dilations: [2, 2], output_padding: [1, 0], pads }, [
      channels,
      3,
      3,
      3,
    ]);

  it("is left out of the padding at the end", async () => {
    const expected = await fileOutputs(
      onnxModel(
        model("ConvTranspose", { kernel_shape: [3, 3], dilations: [2, 2], pads: [1, 1, 0, 1] }, [channels, 3, 3, 3]),
      ),
      { x: [1, channels, side, side] },
    );
    expect(distance((await outputs(transposed([1, 1, 1, 1]))).y, expected.y)).toBeLessThan(1e-5);
  });

  it("is refused where there is none", () => {
    expect(() => importOnnx(onnxModel(transposed([0, 0, 0, 0])))).toThrow(UnsupportedError);
  });
});
