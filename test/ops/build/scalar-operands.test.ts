/** A tensor that ends in axes of one element, with a number: by a view without them, and the same numbers. */
import { describe, expect, it } from "vitest";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { float32Data, float32Tensor } from "../../../src/ir/tensor.ts";
import { cpuTarget, runBoth } from "../../support/graphs/lowering.ts";

const shape = [24, 32, 1, 1];
const x = float32Tensor(
  shape,
  Array.from({ length: 24 * 32 }, (_, i) => Math.sin(i) * 3),
);

describe("a tensor with a number", () => {
  for (const op of ["Add", "Sub", "Mul", "Div", "Min", "Max", "Pow"]) {
    for (const numberShape of [[], [1], [1, 1, 1, 1]]) {
      it(`${op}, the number as [${numberShape}], on either side`, async () => {
        const b = newBuilder("a tensor with a number");
        const input = b.input("x", { dtype: "float32", shape });
        const number = b.input("number", { dtype: "float32", shape: numberShape });
        b.output("left", b.one(op, [input, number]));
        b.output("right", b.one(op, [number, input]));
        const graph = b.finish();
        const { generic, cpu } = await runBoth(graph, { x, number: float32Tensor(numberShape, [2]) });
        for (const { name } of graph.outputs) {
          const [want, have] = [generic[name], cpu[name]];
          if (want === undefined || have === undefined) throw new Error("an output is missing");
          expect(have.shape).toEqual(shape);
          expect([...float32Data(have)]).toEqual([...float32Data(want)]);
        }
        const nodes = lowerGraph(graph, operators, cpuTarget).nodes.filter((node) => node.op === op);
        expect(nodes.map(({ outputs }) => outputs[0]?.type.shape)).toEqual([
          [24, 32],
          [24, 32],
        ]);
      });
    }
  }

  it("takes one view for several operators in a row", () => {
    const b = newBuilder("a row of operators");
    const input = b.input("x", { dtype: "float32", shape });
    const sum = b.one("Add", [b.one("Mul", [input, b.scalar(3)]), b.scalar(1)]);
    b.output("y", b.one("Sub", [b.scalar(2), sum]));
    const { nodes } = lowerGraph(b.finish(), operators, cpuTarget);
    expect(nodes.map(({ op }) => op)).toEqual(["Reshape", "Mul", "Add", "Sub", "Reshape"]);
  });

  it("leaves small tensors, other targets and tensors of channels alone", () => {
    const b = newBuilder("untouched");
    const small = b.input("small", { dtype: "float32", shape: [4, 1] });
    const input = b.input("x", { dtype: "float32", shape });
    const column = b.input("column", { dtype: "float32", shape: [24, 1, 1, 1] });
    b.output("a", b.one("Mul", [small, b.scalar(2)]));
    b.output("b", b.one("Mul", [input, column]));
    const { nodes } = lowerGraph(b.finish(), operators, cpuTarget);
    expect(nodes.map(({ op }) => op)).toEqual(["Mul", "Mul"]);
  });
});
