/** Gradients of whole expressions: the chain rule over random ones, compared with dual numbers. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { differentiate } from "../../../src/compile/passes/differentiate.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { UnsupportedError } from "../../../src/errors.ts";
import type { Graph, GraphBuilder, Value } from "../../../src/ir/graph.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { toNumbers } from "../../../src/ir/tensor.ts";
import { makeRegistry } from "../../../src/ops/definition.ts";
import { reduceSum } from "../../../src/ops/families/reduce.ts";
import { numbersOf, randomFeeds } from "../../support/graphs/same-numbers.ts";

const shape = [4];

/** An expression of x and y: operators of two operands over earlier results, the last one being the value. */
type Expression = readonly { readonly op: "Add" | "Sub" | "Mul"; readonly left: number; readonly right: number }[];

const expressions: fc.Arbitrary<Expression> = fc.array(
  fc.record({ op: fc.constantFrom("Add", "Sub", "Mul"), left: fc.nat(), right: fc.nat() }),
  { minLength: 1, maxLength: 6 },
);

/** Σ of the expression, and its gradients where it depends on x or y. */
function graphOf(expression: Expression, withGradients: boolean): Graph {
  const builder = newBuilder("expression");
  const [x, y] = [builder.input("x", { dtype: "float32", shape }), builder.input("y", { dtype: "float32", shape })];
  const loss = sumOf(builder, evaluated(builder, expression, [x, y]));
  const nodes = [...builder.nodes];
  builder.output("loss", loss);
  const gradients = withGradients ? differentiate(builder, operators, nodes, loss, [x, y]) : new Map<Value, Value>();
  for (const [value, gradient] of gradients) builder.output(`d${value.name}`, gradient);
  return builder.finish();
}

function sumOf(builder: GraphBuilder, value: Value): Value {
  return reduceSum(builder, value, undefined, { keepDimensions: false });
}

function evaluated(builder: GraphBuilder, expression: Expression, inputs: readonly Value[]): Value {
  const values = [...inputs];
  for (const { op, left, right } of expression) {
    const operands = [values[left % values.length], values[right % values.length]];
    values.push(builder.one(op, operands));
  }
  const last = values.at(-1);
  if (last === undefined) throw new Error("an expression has inputs");
  return last;
}

/** d value / d x and d value / d y, for one element of each, by dual numbers. */
function slopes(expression: Expression, x: number, y: number): { readonly dx: number; readonly dy: number } {
  const values = [
    { at: x, dx: 1, dy: 0 },
    { at: y, dx: 0, dy: 1 },
  ];
  for (const { op, left, right } of expression) {
    const [a, b] = [values[left % values.length], values[right % values.length]];
    if (a === undefined || b === undefined) throw new Error("operands come before");
    if (op === "Mul") values.push({ at: a.at * b.at, dx: a.dx * b.at + b.dx * a.at, dy: a.dy * b.at + b.dy * a.at });
    else {
      const sign = op === "Add" ? 1 : -1;
      values.push({ at: a.at + sign * b.at, dx: a.dx + sign * b.dx, dy: a.dy + sign * b.dy });
    }
  }
  return values.at(-1) ?? { dx: 0, dy: 0 };
}

describe("differentiation", () => {
  it("appends the backward nodes to a small graph", () => {
    // x·y + x: x is used twice, so its contributions are added.
    const expression: Expression = [
      { op: "Mul", left: 0, right: 1 },
      { op: "Add", left: 2, right: 0 },
    ];
    expect(printGraph(graphOf(expression, false))).toMatchInlineSnapshot(`
      "graph "expression"
        input %x: float32[4]
        input %y: float32[4]
        %0: float32[4] = Mul(%x, %y)  // Mul_0
        %1: float32[4] = Add(%0, %x)  // Add_1
        %2: float32[] = ReduceSum(%1) {keepdims=0}  // ReduceSum_2
        output loss = %2"
    `);
    expect(printGraph(graphOf(expression, true))).toMatchInlineSnapshot(`
      "graph "expression"
        input %x: float32[4]
        input %y: float32[4]
        %0: float32[4] = Mul(%x, %y)  // Mul_0
        %1: float32[4] = Add(%0, %x)  // Add_1
        %2: float32[] = ReduceSum(%1) {keepdims=0}  // ReduceSum_2
        %3: float32[1] = Reshape(1.0, (1):int64)  // gradient/ReduceSum_2/Reshape_3
        %4: float32[4] = Expand(%3, (4):int64)  // gradient/ReduceSum_2/Expand_4
        %5: float32[4] = Mul(%4, %y)  // gradient/Mul_0/Mul_5
        %6: float32[4] = Mul(%4, %x)  // gradient/Mul_0/Mul_6
        %7: float32[4] = Add(%4, %5)  // Add_7
        output loss = %2
        output dx = %7
        output dy = %6"
    `);
  });

  it("gives the slopes of random expressions, and leaves the loss as it is", async () => {
    await fc.assert(
      fc.asyncProperty(expressions, fc.nat(1000), async (expression, seed) => {
        const graph = graphOf(expression, true);
        const feeds = randomFeeds(graph, seed);
        const [xs, ys] = [feeds.x, feeds.y].map((tensor) => (tensor === undefined ? [] : toNumbers(tensor)));
        const results = await numbersOf(graph, feeds);
        expect(results.loss).toEqual((await numbersOf(graphOf(expression, false), feeds)).loss);
        const expected = (xs ?? []).map((x, i) => slopes(expression, x, ys?.[i] ?? 0));
        expect(expected).toHaveLength(4);
        for (const name of ["dx", "dy"] as const) {
          const slope = expected.map((each) => each[name] + 0);
          // An input that the loss does not depend on has no gradient.
          if (results[name] === undefined) expect(slope).toEqual([0, 0, 0, 0]);
          results[name]?.forEach((value, i) => {
            expect(Math.abs(value - (slope[i] ?? Number.NaN))).toBeLessThanOrEqual(
              1e-4 * Math.max(1, ...slope.map(Math.abs)),
            );
          });
        }
      }),
      { numRuns: 60 },
    );
  });

  it("refuses a loss that is no scalar, and names the node that has no gradient", () => {
    const builder = newBuilder("refused");
    const x = builder.input("x", { dtype: "float32", shape });
    expect(() => differentiate(builder, operators, [], x, [x])).toThrow(/the loss must be a scalar, got float32\[4\]/);
    const loss = sumOf(builder, builder.one("Relu", [x], {}, { name: "relu" }));
    const without = makeRegistry(
      [...operators.values()].map(({ gradient, ...rest }) =>
        rest.op === "Relu" || !gradient ? rest : { ...rest, gradient },
      ),
    );
    const attempt = () => differentiate(builder, without, builder.nodes, loss, [x]);
    expect(attempt).toThrow(UnsupportedError);
    expect(attempt).toThrow("Relu has no gradient, and a trained parameter lies before it");
  });
});
