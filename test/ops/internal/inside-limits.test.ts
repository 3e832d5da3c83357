/** Masks of limits: exact beside the limits, for every normal number, blocked or not. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newBuilder } from "../../../src/compile/registry.ts";
import { float32Data, float32Scalar, float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { insideLimits } from "../../../src/ops/internal/inside-limits.ts";
import { blockedCopy } from "../../support/graphs/blocked.ts";
import { block, runBoth } from "../../support/graphs/lowering.ts";

/** The float32 numbers around one that is not zero. */
function around(value: number): number[] {
  const [center = 0] = new Int32Array(Float32Array.of(value).buffer);
  return Array.from(new Float32Array(Int32Array.from([-2, -1, 0, 1, 2], (step) => center + step).buffer));
}

const smallestNormal = 2 ** -126;

describe("masks of limits", () => {
  it("are 1 exactly where the limits are kept", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 1e-6, max: 1e6, noNaN: true }).map(Math.fround),
        fc.constantFrom("known", "computed", "none"),
        fc.boolean(),
        fc.boolean(),
        async (upper, bound, positive, blocked) => {
          const some = [...around(upper), 0, -0, smallestNormal, 1, upper / 2, 2 * upper, 1e30, 1e-20];
          const values = [...some, ...some.map((value) => -value)];
          const shape = [2, block, 1, Math.ceil(values.length / block)];
          const count = shape.reduce((product, size) => product * size, 1);
          const x = Array.from({ length: count }, (_, i) => values[i % values.length] ?? 0);
          const feeds: Record<string, Tensor> = { x: float32Tensor(shape, x), upper: float32Scalar(upper) };
          const b = newBuilder("limits");
          const input = b.input("x", { dtype: "float32", shape });
          const given = b.input("upper", { dtype: "float32", shape: [] });
          const limit = bound === "known" ? upper : bound === "computed" ? given : undefined;
          if (limit === undefined && !positive) return;
          const of = blocked ? blockedCopy(b, input, feeds) : input;
          b.output("mask", insideLimits(b, of, { positive, upper: limit }));
          const { generic, cpu } = await runBoth(b.finish(), feeds);
          const expected = x.map((value) =>
            (limit === undefined || value <= upper) && (!positive || value > 0) ? 1 : 0,
          );
          for (const { mask } of [generic, cpu]) {
            if (mask === undefined) throw new Error("the graph has no mask");
            expect(Array.from(float32Data(mask))).toEqual(expected);
          }
        },
      ),
      { seed: 5, numRuns: 60 },
    );
  });
});
