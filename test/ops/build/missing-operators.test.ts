/** The forms that stand in for operators that a device lacks, against the engine's own operators. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { roundHalfEven } from "../../../src/base/rounding.ts";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { type Graph, subbyteDomain } from "../../../src/ir/graph.ts";
import { float32Data, float32Tensor, int64Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import type { MissingOperator, Target } from "../../../src/ops/definition.ts";
import { round } from "../../../src/ops/families/elementwise.ts";
import { oneHot } from "../../../src/ops/families/shape/indexing.ts";
import { logSoftmax } from "../../../src/ops/families/softmax.ts";
import { genericTarget } from "../../support/graphs/gradient-check.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";
import { randomTensor, seeded } from "../../support/random.ts";

type Tensors = Readonly<Record<string, Tensor>>;

/** Output `y` as the engine has it, and of a target that lacks everything; the operator must be gone from the latter. */
async function both(graph: Graph, feeds: Tensors, operator: string): Promise<[Float32Array, Float32Array]> {
  const lacks: MissingOperator[] = ["Round", "OneHot", "LogSoftmax", "MaxPoolIndices"];
  const without: Target = { ...genericTarget, lacks };
  const run = async (target: Target) => {
    const lowered = lowerGraph(graph, operators, target);
    if (target === without) expect(lowered.nodes.map(({ op }) => op)).not.toContain(operator);
    const { y } = await runGraph(lowered, feeds, { registry: operators });
    return y === undefined ? new Float32Array() : float32Data(y);
  };
  return [await run(genericTarget), await run(without)];
}

describe("operators that a device lacks", () => {
  it("Round: halves go to the even number, everywhere in float32", async () => {
    const values = [0, 0.25, 0.5, 1.5, 2.5, 3.4999998, 1e6 + 0.5, 4194303.5, 4194304.5, 8388607.5, 8388608, 1e9, 3e38];
    const x = float32Tensor([2 * values.length], [...values, ...values.map((value) => -value)]);
    const b = newBuilder("round");
    b.output("y", round(b, b.input("x", x)));
    const [own, built] = await both(b.finish(), { x }, "Round");
    const expected = [...float32Data(x)].map(roundHalfEven);
    // −0 and 0 are one number to everything that follows.
    expect([...own].map((value) => value + 0)).toEqual(expected.map((value) => value + 0));
    expect([...built].map((value) => value + 0)).toEqual(expected.map((value) => value + 0));
  });

  it("OneHot: counts negative numbers from the end, and knows of none outside", async () => {
    const x = int64Tensor([0, 3, -1, -4, 4, -5], [2, 3]);
    for (const axis of [-1, 0, 1]) {
      const b = newBuilder("one hot");
      b.output("y", oneHot(b, b.input("x", x), 4, { axis }));
      const [own, built] = await both(b.finish(), { x }, "OneHot");
      expect([...built]).toEqual([...own]);
    }
  });

  it("LogSoftmax: to rounding, with large and small logits", async () => {
    const x = float32Tensor([3, 4], [1, 2, 3, 4, 1000, 999, -1000, 0, -80, -90, -100, -81]);
    const b = newBuilder("log softmax");
    b.output("y", logSoftmax(b, b.input("x", x), 1));
    const [own, built] = await both(b.finish(), { x }, "LogSoftmax");
    built.forEach((value, i) => {
      expect(value).toBeCloseTo(own[i] ?? Number.NaN, 4);
    });
  });

  const axis = fc.record({
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    before: fc.integer({ min: 0, max: 1 }),
    after: fc.integer({ min: 0, max: 1 }),
    extra: fc.integer({ min: 0, max: 5 }),
  });
  const pooling = fc.record({
    axes: fc.array(axis, { minLength: 1, maxLength: 2 }),
    ceil: fc.boolean(),
    /** Few different numbers make many ties. */
    steps: fc.constantFrom(2, 1000),
    seed: fc.integer(),
  });

  it("MaxPool's indices: the same gradient, ties and padding included", async () => {
    await fc.assert(
      fc.asyncProperty(pooling, async ({ axes, ceil, steps, seed }) => {
        const padOf = (size: number, kernel: number) => (kernel > 1 ? size : 0);
        const sizes = axes.map((a) => (a.kernel - 1) * a.dilation + 1 + a.extra);
        const attributes = {
          kernel_shape: axes.map((a) => a.kernel),
          strides: axes.map((a) => a.stride),
          dilations: axes.map((a) => a.dilation),
          pads: [...axes.map((a) => padOf(a.before, a.kernel)), ...axes.map((a) => padOf(a.after, a.kernel))],
          ceil_mode: ceil ? 1 : 0,
        };
        const random = seeded(seed);
        const values = randomTensor(random, [2, 3, ...sizes]);
        const x = float32Tensor(
          values.shape,
          float32Data(values).map((value) => Math.round(value * steps) / steps - 2),
        );
        const b = newBuilder("max pool gradient");
        const image = b.input("x", x);
        const [pooled] = b.node("MaxPool", [image], attributes);
        if (pooled === undefined) throw new Error("MaxPool has an output");
        const dy = randomTensor(random, pooled.type.shape);
        const gradient = [b.input("dy", dy), image];
        b.output("y", b.one("MaxPoolGrad", gradient, attributes, { domain: subbyteDomain }));
        const [own, built] = await both(b.finish(), { x, dy }, "ScatterElements");
        // Both add the gradients of overlapping windows, each in its own order.
        built.forEach((value, i) => {
          expect(value).toBeCloseTo(own[i] ?? Number.NaN, 5);
        });
      }),
      { seed: 3, numRuns: 60 },
    );
  });
});
