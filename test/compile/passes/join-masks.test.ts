/** The masks of a quantizer and of the ReLU before it as one: the gradients stay what they were. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { differentiate } from "../../../src/compile/passes/differentiate.ts";
import { joinMasks } from "../../../src/compile/passes/join-masks.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import type { Graph, GraphBuilder, Value } from "../../../src/ir/graph.ts";
import { float32Data, float32Scalar, float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { isOperator } from "../../../src/ops/definition.ts";
import { clip, relu } from "../../../src/ops/families/activations.ts";
import { multiply } from "../../../src/ops/families/elementwise.ts";
import { reduceSum } from "../../../src/ops/families/reduce.ts";
import { dot } from "../../../src/ops/internal/channel-ops.ts";
import { insideLimits, insideLimitsOperator } from "../../../src/ops/internal/inside-limits.ts";
import { fakeQuantize } from "../../../src/quantizers/fake-quantize.ts";
import { blockedCopy } from "../../support/graphs/blocked.ts";
import { block, runBoth } from "../../support/graphs/lowering.ts";
import { specFor } from "../../support/training/quantizer.ts";

const shape = [2, block, 3, 4];
const count = 2 * block * 12;

function masksOf(graph: Graph): number {
  return graph.nodes.filter((node) => isOperator(insideLimitsOperator, node)).length;
}

function dataOf(tensor: Tensor | undefined): number[] {
  if (tensor === undefined) throw new Error("an output is missing");
  // Without the sign of zeros, which no number that follows shows.
  return Array.from(float32Data(tensor), (value) => value + 0);
}

describe("masks of one tensor", () => {
  /** dy masked twice, by limits of y or of another tensor. */
  function maskedTwice(
    change: (b: GraphBuilder, values: Record<"y" | "other" | "first" | "dy", Value>) => Value,
  ): Graph {
    const b = newBuilder("masked twice");
    const dy = b.input("dy", { dtype: "float32", shape });
    const y = relu(b, b.input("x", { dtype: "float32", shape }));
    const other = relu(b, b.input("z", { dtype: "float32", shape }));
    const first = multiply(
      b,
      dy,
      insideLimits(b, y, { positive: false, upper: b.input("upper", { dtype: "float32", shape: [] }) }),
    );
    b.output("dx", change(b, { y, other, first, dy }));
    return b.finish();
  }

  it("become one", () => {
    const graph = maskedTwice((b, { y, first }) => multiply(b, first, insideLimits(b, y, { positive: true })));
    expect(masksOf(graph)).toBe(2);
    expect(masksOf(joinMasks(graph))).toBe(1);
  });

  it("stay two where the tensors differ, and where something else reads what is masked once", () => {
    const apart = [
      maskedTwice((b, { other, first }) => multiply(b, first, insideLimits(b, other, { positive: true }))),
      maskedTwice((b, { y, first }) => {
        b.output("first", first);
        return multiply(b, first, insideLimits(b, y, { positive: true }));
      }),
      maskedTwice((b, { y, first, dy }) => {
        b.output("sum", dot(b, first, dy));
        return multiply(b, first, insideLimits(b, y, { positive: true }));
      }),
    ];
    for (const graph of apart) expect(masksOf(joinMasks(graph))).toBe(2);
  });

  it("become one where the other consumer is a sum that is the same behind both", () => {
    const graph = maskedTwice((b, { y, first }) => {
      b.output("sum", dot(b, first, y));
      return multiply(b, first, insideLimits(b, y, { positive: true }));
    });
    expect(masksOf(joinMasks(graph))).toBe(1);
  });
});

describe("gradients through an activation and its quantizer", () => {
  /** Of Σ y·dy: dx, and the gradient of the step where it is learned. */
  async function gradientsOf(quantizer: "uniform" | "lsq", limited: boolean, scale: number, x: readonly number[]) {
    const feeds: Record<string, Tensor> = {
      x: float32Tensor(shape, x),
      dy: float32Tensor(
        shape,
        Array.from(x, (_, i) => Math.sin(3 * i + 1)),
      ),
      scale: float32Scalar(scale),
      zeroPoint: float32Scalar(0),
    };
    const b = newBuilder("activation and quantizer");
    const input = (name: string) => b.input(name, feeds[name] ?? { dtype: "float32", shape: [] });
    const [image, dy, step, zeroPoint] = [input("x"), input("dy"), input("scale"), input("zeroPoint")];
    const before = blockedCopy(b, image, feeds);
    const activation = limited ? clip(b, before, 0, 6) : relu(b, before);
    const spec = { ...specFor(quantizer, 4, false, {}), nonNegative: true };
    const y = fakeQuantize(b, activation, spec, { scale: step, zero_point: zeroPoint });
    const loss = reduceSum(b, multiply(b, y, dy), undefined, { keepDimensions: false });
    const gradients = differentiate(b, operators, b.nodes, loss, [image, step]);
    for (const [name, value] of [
      ["dx", image],
      ["ds", step],
    ] as const) {
      const gradient = gradients.get(value);
      if (gradient !== undefined) b.output(name, gradient);
    }
    return runBoth(b.finish(), feeds);
  }

  const highest = 15;
  const scales = fc.constantFrom(0.05, 0.1, 0.387, 0.39, 0.4, 0.41, 1);

  it("are those of two masks, with ReLU and ReLU6, and with limits on either side of 6", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("uniform" as const, "lsq" as const),
        fc.boolean(),
        fc.oneof(scales, fc.double({ min: 0.01, max: 2, noNaN: true })).map(Math.fround),
        async (quantizer, limited, scale) => {
          const ends = [highest, highest + 0.5].flatMap((code) => [code, code * (1 - 2 ** -24), code * (1 + 2 ** -23)]);
          const near = [...ends.map((code) => code * scale), 6, 6 - 2 ** -21, 6.1, 100, 0, -1, 0.5 * scale, 2, 3.3];
          const x = Array.from({ length: count }, (_, i) => Math.fround(near[i % near.length] ?? 0));
          const { generic, cpu } = await gradientsOf(quantizer, limited, scale, x);
          expect(dataOf(cpu.dx)).toEqual(dataOf(generic.dx));
          if (quantizer === "lsq") {
            const [expected = Number.NaN] = dataOf(generic.ds);
            const [actual = Number.NaN] = dataOf(cpu.ds);
            expect(Math.abs(actual - expected)).toBeLessThan(1e-4 * Math.max(Math.abs(expected), 1));
          }
        },
      ),
      { seed: 7, numRuns: 40 },
    );
  });
});
