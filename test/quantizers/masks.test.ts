/** The limit of x that a limit of x/s is, against a search through the float32 numbers. */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { newBuilder, operators } from "../../src/compile/registry.ts";
import { float32Data, float32Scalar, type Tensor } from "../../src/ir/tensor.ts";
import { greatestWithin } from "../../src/quantizers/arithmetic/masks.ts";
import { highestRoundingTo } from "../../src/quantizers/arithmetic/round-codes.ts";
import { runGraph } from "../support/graphs/run-graph.ts";

const { fround } = Math;

function searched(step: number, high: number): number {
  const inverse = fround(1 / step);
  const float = Float32Array.of(fround(step * high));
  const bits = new Int32Array(float.buffer);
  bits[0] = (bits[0] ?? 0) + 64;
  while (fround((float[0] ?? 0) * inverse) > high) bits[0] = (bits[0] ?? 0) - 1;
  return float[0] ?? 0;
}

it("the greatest number whose quotient by a step is within a limit", async () => {
  const steps = fc.double({ min: -26, max: 10, noNaN: true }).map((exponent) => fround(2 ** exponent));
  const limits = fc.integer({ min: 0, max: 255 }).chain((code) => fc.constantFrom(code + 1, highestRoundingTo(code)));
  const cases = fc.array(fc.tuple(steps, limits), { minLength: 100, maxLength: 100 });
  await fc.assert(
    fc.asyncProperty(cases, async (pairs) => {
      const b = newBuilder("limits");
      const feeds: Record<string, Tensor> = {};
      pairs.forEach(([step, high], i) => {
        feeds[`step${i}`] = float32Scalar(step);
        b.output(`limit${i}`, greatestWithin(b, b.input(`step${i}`, { dtype: "float32", shape: [] }), high));
      });
      const limit = await runGraph(b.finish(), feeds, { registry: operators });
      pairs.forEach(([step, high], i) => {
        const tensor = limit[`limit${i}`];
        expect(tensor === undefined ? undefined : float32Data(tensor)[0], `${step}, ${high}`).toBe(
          searched(step, high),
        );
      });
    }),
    { seed: 3, numRuns: 20 },
  );
});
