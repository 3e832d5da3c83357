/** The limit of x that a limit of x/s is, against a search through the float32 numbers. */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { newBuilder, operators } from "../../src/compile/registry.ts";
import { float32Data, float32Scalar } from "../../src/ir/tensor.ts";
import { greatestWithin } from "../../src/quantizers/arithmetic/masks.ts";
import { highestRoundingTo } from "../../src/quantizers/arithmetic/round-codes.ts";
import { loadGraph } from "../support/graphs/run-graph.ts";

const { fround } = Math;

function searched(step: number, high: number): number {
  const inverse = fround(1 / step);
  const float = Float32Array.of(fround(step * high));
  const bits = new Int32Array(float.buffer);
  bits[0] = (bits[0] ?? 0) + 64;
  while (fround((float[0] ?? 0) * inverse) > high) bits[0] = (bits[0] ?? 0) - 1;
  return float[0] ?? 0;
}

const limits = Array.from({ length: 256 }, (_, code) => [code + 1, highestRoundingTo(code)]).flat();

it("the greatest number whose quotient by a step is within a limit", async () => {
  const b = newBuilder("limits");
  const step = b.input("step", { dtype: "float32", shape: [] });
  limits.forEach((high, i) => {
    b.output(`limit${i}`, greatestWithin(b, step, high));
  });
  const run = await loadGraph(b.finish(), { registry: operators });
  const steps = fc.double({ min: -26, max: 10, noNaN: true }).map((exponent) => fround(2 ** exponent));
  await fc.assert(
    fc.asyncProperty(steps, async (drawn) => {
      const found = await run({ step: float32Scalar(drawn) });
      const wrong = limits.filter((high, i) => {
        const tensor = found[`limit${i}`];
        return tensor === undefined || float32Data(tensor)[0] !== searched(drawn, high);
      });
      expect(wrong, `step ${drawn}`).toEqual([]);
    }),
    { seed: 3, numRuns: 60 },
  );
});
