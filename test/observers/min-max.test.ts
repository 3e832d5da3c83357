/** The minimum of a tensor that cannot be negative is not looked for: scale and zero point must not show it. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lowerGraph } from "../../src/compile/passes/lower.ts";
import { newBuilder, operators } from "../../src/compile/registry.ts";
import type { Value } from "../../src/ir/graph.ts";
import { float32Data, float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import { observerNamed } from "../../src/observers/index.ts";
import { conv } from "../../src/ops/families/conv.ts";
import { reduceMax, reduceMin } from "../../src/ops/families/reduce.ts";
import { conventions, parametersFromRange } from "../../src/quantizers/arithmetic/uniform-parameters.ts";
import type { QuantizerSpec } from "../../src/quantizers/definition.ts";
import { genericTarget } from "../support/graphs/gradient-check.ts";
import { block, cpuTarget, runBoth } from "../support/graphs/lowering.ts";
import { loadGraph } from "../support/graphs/run-graph.ts";
import { specFor } from "../support/training/quantizer.ts";

/** State, scale and zero point after each batch. */
async function observe(spec: QuantizerSpec, batches: readonly Tensor[]): Promise<Record<string, number[]>[]> {
  const [first] = batches;
  const observer = observerNamed(spec.observer?.observer ?? "");
  if (first === undefined) throw new Error("nothing to observe");
  const b = newBuilder("observer");
  const x = b.input("x", first);
  const kept = observer.state(spec, first);
  const old: Record<string, Value> = {};
  for (const { name, initial } of kept) old[name] = b.input(name, initial);
  const next = observer.update({ builder: b, spec, x, state: old });
  for (const [name, value] of Object.entries(next)) b.output(`next.${name}`, value);
  const range = observer.range({ builder: b, spec, state: next });
  for (const [name, value] of Object.entries(parametersFromRange(b, spec, range))) b.output(name, value);
  const run = await loadGraph(lowerGraph(b.finish(), operators, genericTarget), { registry: operators });
  let state = Object.fromEntries(kept.map(({ name, initial }) => [name, initial]));
  const results = [];
  for (const batch of batches) {
    const outputs = await run({ x: batch, ...state });
    results.push(Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, [...float32Data(tensor)]])));
    state = Object.fromEntries(kept.map(({ name, initial }) => [name, outputs[`next.${name}`] ?? initial]));
  }
  return results;
}

describe("observers of tensors that cannot be negative", () => {
  it("give the scale and zero point that an observed minimum would give", async () => {
    const batch = fc.array(fc.float({ min: 0, max: 50, noNaN: true }), { minLength: 6, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("minMax", "movingAverageMinMax"),
        fc.constantFrom("affine", "symmetric"),
        fc.constantFrom(...conventions),
        fc.integer({ min: 2, max: 8 }),
        fc.array(batch, { minLength: 1, maxLength: 3 }),
        async (observer, scheme, convention, bits, rows) => {
          const batches = rows.map((row) => float32Tensor([6], row));
          const options = { scheme, convention };
          const spec = specFor("uniform", bits, false, options, { observer: { observer, options: {} } });
          const searched = await observe(spec, batches);
          const known = await observe({ ...spec, nonNegative: true }, batches);
          for (const [i, { scale, zero_point }] of searched.entries()) {
            expect(known[i]?.scale).toEqual(scale);
            expect(known[i]?.zero_point?.map((value) => value + 0)).toEqual(zero_point?.map((value) => value + 0));
            expect(known[i]?.["next.max"]).toEqual(searched[i]?.["next.max"]);
            expect(known[i]?.["next.min"]).toEqual([0]);
          }
        },
      ),
      { numRuns: 60, seed: 3 },
    );
  });
});

describe("extremes of a blocked tensor", () => {
  it.skipIf(cpuTarget.blockSize === 1)("are those of the tensor, in rows that the threads share", async () => {
    const b = newBuilder("extremes");
    const x = b.input("x", { dtype: "float32", shape: [3, block, 4, 5] });
    const weight = b.input("w", { dtype: "float32", shape: [block, block, 1, 1] });
    const z = conv(b, x, weight, undefined);
    b.output("max", reduceMax(b, z, undefined, { keepDimensions: false }));
    b.output("min", reduceMin(b, z));
    const graph = b.finish();
    const random = (shape: number[], seed: number) =>
      float32Tensor(
        shape,
        Array.from({ length: shape.reduce((a, c) => a * c) }, (_, i) => Math.sin(seed + 7.3 * i) * 3),
      );
    const feeds = { x: random([3, block, 4, 5], 1), w: random([block, block, 1, 1], 2) };
    const { generic, cpu } = await runBoth(graph, feeds);
    for (const { name, value } of graph.outputs) {
      expect(cpu[name]?.shape).toEqual(value.type.shape);
      const [want = Number.NaN] = generic[name] === undefined ? [] : float32Data(generic[name]);
      const [have = Number.NaN] = cpu[name] === undefined ? [] : float32Data(cpu[name]);
      expect(have).toBeCloseTo(want, 4);
    }
    const reductions = lowerGraph(graph, operators, cpuTarget).nodes.filter(({ op }) => op.startsWith("Reduce"));
    expect(reductions.map(({ inputs }) => inputs[0]?.type.shape)).toEqual([[3, 20 * block], [3], [3, 20 * block], [3]]);
  });
});
