/** Values that are inferred non-negative never are negative: random graphs on random data, every value looked at. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nonNegativeValues } from "../../src/compile/non-negativity.ts";
import { newBuilder, operators } from "../../src/compile/registry.ts";
import type { Attributes, Graph, Value } from "../../src/ir/graph.ts";
import { float32Tensor } from "../../src/ir/tensor.ts";
import { clip } from "../../src/ops/families/activations.ts";
import { averagePool, globalAveragePool, maxPool } from "../../src/ops/families/pool.ts";
import { concat, flatten } from "../../src/ops/families/shape/shape-ops.ts";
import { runGraph } from "../support/graphs/run-graph.ts";
import { randomFeeds } from "../support/graphs/same-numbers.ts";

const shape = [2, 2, 4, 4];
const pool = { kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] };

/** One value from two earlier ones, of the same shape. */
type Step = (builder: ReturnType<typeof newBuilder>, a: Value, b: Value) => Value;

const unary =
  (op: string, attributes: Attributes = {}): Step =>
  (builder, a) =>
    builder.one(op, [a], attributes);
const binary =
  (op: string): Step =>
  (builder, a, b) =>
    builder.one(op, [a, b]);

const steps: Readonly<Record<string, Step>> = {
  Relu: unary("Relu"),
  Sigmoid: unary("Sigmoid"),
  Tanh: unary("Tanh"),
  Abs: unary("Abs"),
  Neg: unary("Neg"),
  Exp: unary("Exp"),
  Softplus: unary("Softplus"),
  LeakyRelu: unary("LeakyRelu", { alpha: { float: 0.1 } }),
  Elu: unary("Elu", { alpha: { float: 1 } }),
  HardSigmoid: unary("HardSigmoid", { alpha: { float: 0.2 }, beta: { float: 0.5 } }),
  Softmax: unary("Softmax", { axis: 1 }),
  Identity: unary("Identity"),
  Transpose: (builder, a) => builder.one("Transpose", [a], { perm: [0, 1, 3, 2] }),
  Add: binary("Add"),
  Sub: binary("Sub"),
  Mul: binary("Mul"),
  Max: binary("Max"),
  Min: binary("Min"),
  clipFrom0: (builder, a) => clip(builder, a, 0, 6),
  clipBelow: (builder, a) => clip(builder, a, -1, 6),
  maxPool: (builder, a) => maxPool(builder, a, pool),
  averagePool: (builder, a) => averagePool(builder, a, pool),
  half: (builder, a) => builder.one("Mul", [a, builder.scalar(0.5)]),
  minusOne: (builder, a) => builder.one("Add", [a, builder.scalar(-1)]),
  byChannel: (builder, a) => builder.one("Mul", [a, builder.constant(float32Tensor([1, 2, 1, 1], [1, -2]))]),
};

const descriptions = fc.array(fc.record({ step: fc.constantFrom(...Object.keys(steps)), a: fc.nat(), b: fc.nat() }), {
  minLength: 1,
  maxLength: 12,
});

/** The graph with every value as an output. */
function graphOf(description: readonly { readonly step: string; readonly a: number; readonly b: number }[]): Graph {
  const builder = newBuilder("random");
  const values = [builder.input("x", { dtype: "float32", shape }), builder.input("y", { dtype: "float32", shape })];
  for (const { step, a, b } of description) {
    const [left, right] = [values[a % values.length], values[b % values.length]];
    const make = steps[step];
    if (left !== undefined && right !== undefined && make !== undefined) values.push(make(builder, left, right));
  }
  const last = values.at(-1);
  if (last !== undefined) {
    values.push(flatten(builder, globalAveragePool(builder, last)), concat(builder, [last, ...values.slice(0, 1)], 1));
  }
  // The builder adds equal nodes once.
  for (const [i, value] of [...new Set(values)].entries()) builder.output(`v${i}`, builder.one("Identity", [value]));
  return builder.finish();
}

describe("values that are said never to be negative", () => {
  it("never are", async () => {
    let claimed = 0;
    await fc.assert(
      fc.asyncProperty(descriptions, fc.nat(1000), async (description, seed) => {
        const graph = graphOf(description);
        const known = nonNegativeValues(graph);
        const results = await runGraph(graph, randomFeeds(graph, seed), { registry: operators });
        for (const { name, value } of graph.outputs) {
          if (!known.has(value)) continue;
          claimed++;
          const data = results[name]?.data;
          if (!(data instanceof Float32Array)) throw new Error(`${name} is no float32`);
          expect(
            Math.min(...data),
            `${name} of ${description.map(({ step }) => step).join(", ")}`,
          ).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 80 },
    );
    expect(claimed).toBeGreaterThan(100);
  });

  it("are found behind each operator that cannot give others", () => {
    const found = Object.keys(steps).filter((step) => {
      const graph = graphOf([{ step, a: 0, b: 1 }]);
      const made = graph.nodes[0]?.outputs[0];
      return made !== undefined && nonNegativeValues(graph).has(made);
    });
    expect(found).toMatchInlineSnapshot(`
      [
        "Relu",
        "Sigmoid",
        "Abs",
        "Exp",
        "Softplus",
        "HardSigmoid",
        "Softmax",
        "clipFrom0",
      ]
    `);
  });

  it("are none of those that data of both signs make", () => {
    const graph = graphOf([
      { step: "byChannel", a: 0, b: 1 },
      { step: "Sub", a: 2, b: 1 },
    ]);
    const named = graph.outputs.filter(({ value }) => nonNegativeValues(graph).has(value));
    expect(named).toEqual([]);
  });
});
