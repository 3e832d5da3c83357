/**
 * Operators against torch: outputs and gradients of vectors/torch-ops.json (see vectors/torch-ops.py).
 *
 * A new operator needs a case there and, when its attributes are not ONNX's own, an entry in `builders` here.
 */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { lowerGraph } from "../../src/compile/passes/lower.ts";
import type { Attribute, GraphBuilder, Value } from "../../src/ir/graph.ts";
import { subbyteDomain } from "../../src/ir/graph.ts";
import { float32Data, type Tensor, toNumbers } from "../../src/ir/tensor.ts";
import { showType } from "../../src/ir/types.ts";
import { int64Constant } from "../../src/ops/build/operands.ts";
import { builderFor, operatorKey } from "../../src/ops/definition.ts";
import { clip } from "../../src/ops/families/activations.ts";
import { cast } from "../../src/ops/families/cast.ts";
import { where } from "../../src/ops/families/comparison.ts";
import { expand, pad, reshape, slice } from "../../src/ops/families/shape/shape-ops.ts";
import { standardOperators } from "../../src/ops/index.ts";
import { crossEntropy, meanSquaredError } from "../../src/ops/internal/loss.ts";
import { type PackedTensor, unpackTensor } from "../support/golden.ts";
import { genericTarget, gradientsOf } from "../support/graphs/gradient-check.ts";
import { tile } from "../support/graphs/operators.ts";
import { loadGraph } from "../support/graphs/run-graph.ts";

interface Case {
  readonly name: string;
  readonly op: string;
  readonly attributes: Attributes;
  readonly inputs: readonly PackedTensor[];
  readonly outputs: readonly PackedTensor[];
  readonly weights: PackedTensor;
  readonly gradients: Readonly<Record<string, PackedTensor>>;
}

type Attributes = Readonly<Record<string, Attribute>>;
type Build = (b: GraphBuilder, inputs: readonly Value[], attributes: Attributes) => readonly Value[];

const file: { readonly torch: string; readonly cases: readonly Case[] } = JSON.parse(
  readFileSync(new URL("vectors/torch-ops.json", import.meta.url), "utf8"),
);

function numberOf(attributes: Attributes, name: string): number | undefined {
  const value = attributes[name];
  return typeof value === "number" ? value : undefined;
}

function listOf(attributes: Attributes, name: string): readonly number[] {
  const value = attributes[name];
  if (!Array.isArray(value)) throw new Error(`the case has no list ${name}`);
  return value.map(Number);
}

function modeOf({ mode }: Attributes): "constant" | "reflect" | "edge" | "wrap" {
  return mode === "reflect" || mode === "edge" || mode === "wrap" ? mode : "constant";
}

function first(inputs: readonly Value[]): Value {
  const [value] = inputs;
  if (value === undefined) throw new Error("the case has no inputs");
  return value;
}

/** Operators whose attributes in the file are inputs in ONNX, and the losses, which are made of several. */
const builders: Readonly<Record<string, Build>> = {
  Clip: (b, x, attributes) => [clip(b, first(x), numberOf(attributes, "low"), numberOf(attributes, "high"))],
  Where: (b, [condition, x, y]) => {
    if (condition === undefined || x === undefined || y === undefined) throw new Error("Where has three inputs");
    return [where(b, cast(b, condition, "bool"), x, y)];
  },
  Reshape: (b, x, attributes) => [reshape(b, first(x), listOf(attributes, "shape"))],
  Expand: (b, x, attributes) => [expand(b, first(x), listOf(attributes, "shape"))],
  Tile: (b, x, attributes) => [tile(b, first(x), listOf(attributes, "repeats"))],
  Pad: (b, x, attributes) => [
    pad(b, first(x), listOf(attributes, "pads"), {
      value: numberOf(attributes, "value") ?? 0,
      mode: modeOf(attributes),
    }),
  ],
  Slice: (b, x, attributes) => {
    const list = (name: string) => listOf(attributes, name);
    return [
      slice(b, first(x), { axes: list("axes"), starts: list("starts"), ends: list("ends"), steps: list("steps") }),
    ];
  },
  "cross-entropy": (b, [logits, labels], attributes) => {
    if (logits === undefined || labels === undefined) throw new Error("cross-entropy has two inputs");
    const smoothing = attributes.labelSmoothing;
    return [crossEntropy(b, logits, labels, typeof smoothing === "number" ? smoothing : 0)];
  },
  "mean-squared-error": (b, [prediction, target]) => {
    if (prediction === undefined || target === undefined) throw new Error("mean squared error has two inputs");
    return [meanSquaredError(b, prediction, target)];
  },
  CumSum: (b, x, attributes) => [b.one("CumSum", [first(x), int64Constant(b, [numberOf(attributes, "axis") ?? 0])])],
};

for (const op of ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceLogSumExp", "ReduceProd"]) {
  Object.assign(builders, {
    [op]: (b: GraphBuilder, x: readonly Value[], attributes: Attributes) =>
      b.node(op, [first(x), int64Constant(b, listOf(attributes, "axes"))], {
        keepdims: numberOf(attributes, "keepdims") ?? 1,
      }),
  });
}

/** subbyte's own operators of the file, by the domain that ONNX's have not. */
const ownOperators = new Set(["BatchNormTrain"]);

function builderOf(op: string): Build | undefined {
  const special = builders[op];
  if (special !== undefined) return special;
  const domain = ownOperators.has(op) ? subbyteDomain : "";
  if (!standardOperators.has(operatorKey(domain, op))) return undefined;
  return (b, inputs, attributes) => b.node(op, inputs, windowed(op, inputs, attributes), { domain });
}

/** torch gives the shape of a kernel by the weight. */
function windowed(op: string, inputs: readonly Value[], attributes: Attributes): Attributes {
  const kernel = op.startsWith("Conv") ? inputs[1]?.type.shape.slice(2) : undefined;
  return kernel === undefined ? attributes : { kernel_shape: kernel, ...attributes };
}

/** Relative to the largest element of the expected tensor, because small sums of large terms lose digits in any order. */
function expectClose(actual: Tensor, expected: Tensor, tolerance: number): void {
  expect(showType(actual)).toBe(showType(expected));
  const wanted = toNumbers(expected);
  const scale = Math.max(1e-3, ...wanted.map(Math.abs));
  toNumbers(actual).forEach((value, i) => {
    const want = wanted[i] ?? Number.NaN;
    if (!(Math.abs(value - want) <= tolerance * scale)) {
      expect.fail(`element ${i} is ${value}, torch has ${want} (largest ${scale})`);
    }
  });
}

const tolerance = 1e-5;

describe(`operators against torch ${file.torch}`, () => {
  for (const { name, op, attributes, inputs, outputs, weights, gradients } of file.cases) {
    const build = builderOf(op);
    const tensors = inputs.map(unpackTensor);

    it.skipIf(build === undefined)(`${name}: outputs`, async () => {
      const b = builderFor(standardOperators, name);
      const values = tensors.map(({ dtype, shape }, i) => b.input(`x${i}`, { dtype, shape }));
      build?.(b, values, attributes).forEach((value, i) => {
        if (i < outputs.length) b.output(`y${i}`, value);
      });
      const run = await loadGraph(lowerGraph(b.finish(), standardOperators, genericTarget));
      const results = await run(Object.fromEntries(tensors.map((tensor, i) => [`x${i}`, tensor])));
      outputs.forEach((output, i) => {
        const actual = results[`y${i}`];
        if (actual === undefined) throw new Error(`no output ${i}`);
        expectClose(actual, unpackTensor(output), tolerance);
      });
    });

    it.skipIf(build === undefined || Object.keys(gradients).length === 0)(`${name}: gradients`, async () => {
      const wanted = Object.keys(gradients).map(Number);
      const forward = (b: GraphBuilder, values: readonly Value[]) => first(build?.(b, values, attributes) ?? []);
      const found = await gradientsOf(forward, tensors, unpackTensor(weights), wanted);
      for (const [index, packed] of Object.entries(gradients)) {
        const expected = unpackTensor(packed);
        const actual = found.get(Number(index));
        if (actual !== undefined) expectClose(actual, expected, tolerance);
        else expect(float32Data(expected).every((value) => value === 0)).toBe(true);
      }
    });
  }
});
