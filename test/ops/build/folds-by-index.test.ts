/** Values on constants of what reads and writes elements at named places: those that the engine gives. */

import fc from "fast-check";
import { expect, it } from "vitest";
import { int64Tensor, type Tensor, toNumbers } from "../../../src/ir/tensor.ts";
import { elementCount } from "../../../src/ir/types.ts";
import { builderFor } from "../../../src/ops/definition.ts";
import { evaluateNode } from "../../../src/ops/evaluate.ts";
import { standardOperators } from "../../../src/ops/index.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";
import { type Random, randomTensor, seeded } from "../../support/random.ts";

type Attributes = Readonly<Record<string, number | string>>;

/** What the rule and the engine make of the same tensors. */
async function both(op: string, inputs: readonly Tensor[], attributes: Attributes) {
  const folded = evaluateNode(standardOperators, { op, domain: "", name: op, attributes, outputCount: 1 }, inputs);
  const b = builderFor(standardOperators, "fold");
  const values = inputs.map(({ dtype, shape }, i) => b.input(`x${i}`, { dtype, shape }));
  b.output("y", b.one(op, values, attributes));
  const { y } = await runGraph(b.finish(), Object.fromEntries(inputs.map((tensor, i) => [`x${i}`, tensor])));
  return { folded: folded?.[0] && { ...folded[0], data: toNumbers(folded[0]) }, y: y && { ...y, data: toNumbers(y) } };
}

function places(random: Random, shape: readonly number[], sizes: readonly number[]): Tensor {
  const count = elementCount(shape);
  const draw = (i: number) => {
    const size = sizes[i % sizes.length] ?? 1;
    return Math.floor(random() * 2 * size) - size;
  };
  return int64Tensor(
    Array.from({ length: count }, (_, i) => draw(i)),
    shape,
  );
}

/** Every place once, in any order: without a reduction nothing says which of two updates stays. */
function distinctRows(random: Random, count: number): Tensor {
  const order = Array.from({ length: count }, (_, i) => i).sort(() => random() - 0.5);
  return int64Tensor(order.slice(0, Math.max(1, count - 1)), [Math.max(1, count - 1), 1]);
}

const cases = fc.record({
  seed: fc.integer({ min: 0, max: 1 << 30 }),
  shape: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
  depth: fc.integer({ min: 1, max: 3 }),
  axis: fc.integer({ min: 0, max: 2 }),
  reduction: fc.constantFrom("none", "add", "mul", "max", "min"),
});

it("are the engine's", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ seed, shape, depth: wanted, axis: given, reduction }) => {
      const random = seeded(seed);
      const depth = Math.min(wanted, shape.length);
      const axis = given % shape.length;
      const x = randomTensor(random, shape);
      const picked = places(random, [3, depth], shape.slice(0, depth));
      const gathered = await both("GatherND", [x, picked], {});
      expect(gathered.folded).toEqual(gathered.y);

      const wide = shape.with(axis, 3);
      const along = await both("GatherElements", [x, places(random, wide, [shape[axis] ?? 1])], { axis });
      expect(along.folded).toEqual(along.y);

      const rows = distinctRows(random, shape[0] ?? 1);
      const updates = randomTensor(random, [rows.shape[0] ?? 1, ...shape.slice(1)]);
      const scattered = await both("ScatterND", [x, rows, updates], { reduction });
      expect(scattered.folded).toEqual(scattered.y);

      const one = shape.with(axis, 1);
      const index = places(random, one, [shape[axis] ?? 1]);
      const put = await both("ScatterElements", [x, index, randomTensor(random, one)], { axis, reduction });
      expect(put.folded).toEqual(put.y);
    }),
    { numRuns: 25 },
  );
});

it("are left to the engine where an index is outside", () => {
  const x = randomTensor(seeded(1), [2, 2]);
  const node = { op: "GatherND", domain: "", name: "g", attributes: {}, outputCount: 1 };
  expect(evaluateNode(standardOperators, node, [x, int64Tensor([2], [1, 1])])).toBeUndefined();
});
