/** Gradients of indexing against central differences, and the operators that make tensors out of shapes. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float32Data, int64Tensor, toNumbers } from "../../../src/ir/tensor.ts";
import { elementCount } from "../../../src/ir/types.ts";
import { builderFor } from "../../../src/ops/definition.ts";
import * as indexing from "../../../src/ops/families/shape/indexing.ts";
import { standardOperators } from "../../../src/ops/index.ts";
import { gradientProperty, itemAt, shapes, shapeWithAxis } from "../../support/graphs/gradient-property.ts";
import * as operators from "../../support/graphs/operators.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";
import { distinctTensor, type Random, randomTensor } from "../../support/random.ts";

function randomIndices(random: Random, shape: readonly number[], size: number) {
  const draw = () => Math.floor(random() * 2 * size) - size;
  return int64Tensor(Array.from({ length: elementCount(shape) }, draw), shape);
}

describe("gradients of indexing", () => {
  const gathered = fc.record({ from: shapeWithAxis(), index: shapes(0, 2) });

  gradientProperty(
    "gather",
    gathered,
    ({ from: { shape, axis }, index }, random) => ({
      build: (b, x) => indexing.gather(b, itemAt(x, 0), itemAt(x, 1), axis),
      inputs: [randomTensor(random, shape), randomIndices(random, index, itemAt(shape.slice(axis), 0))],
      options: { wanted: [0] },
    }),
    { runs: 20 },
  );

  gradientProperty("gatherElements", shapeWithAxis(), ({ shape, axis }, random) => ({
    build: (b, x) => indexing.gatherElements(b, itemAt(x, 0), itemAt(x, 1), axis),
    inputs: [randomTensor(random, shape), randomIndices(random, shape.with(axis, 3), itemAt(shape.slice(axis), 0))],
    options: { wanted: [0] },
  }));

  gradientProperty("GatherND", shapes(2, 3), (shape, random) => ({
    build: (b, x) => b.one("GatherND", [itemAt(x, 0), itemAt(x, 1)]),
    inputs: [randomTensor(random, shape), randomIndices(random, [5, 1], itemAt(shape, 0))],
    options: { wanted: [0] },
  }));

  for (const reduction of ["none", "add"] as const) {
    gradientProperty(`scatterND ${reduction}`, shapes(1, 3), (shape, random) => ({
      build: (b, x) => indexing.scatterND(b, itemAt(x, 0), itemAt(x, 1), itemAt(x, 2), reduction),
      inputs: [
        randomTensor(random, shape),
        int64Tensor([itemAt(shape, 0) - 1], [1, 1]),
        randomTensor(random, shape.with(0, 1)),
      ],
      options: { wanted: [0, 2] },
    }));

    gradientProperty(`scatterElements ${reduction}`, shapeWithAxis(), ({ shape, axis }, random) => ({
      build: (b, x) => indexing.scatterElements(b, itemAt(x, 0), itemAt(x, 1), itemAt(x, 2), axis, reduction),
      inputs: [
        randomTensor(random, shape),
        int64Tensor(new Array<number>(elementCount(shape.with(axis, 1))).fill(0), shape.with(axis, 1)),
        randomTensor(random, shape.with(axis, 1)),
      ],
      options: { wanted: [0, 2] },
    }));
  }

  gradientProperty("topK", fc.record({ at: shapeWithAxis(), largest: fc.boolean() }), ({ at, largest }, random) => ({
    build: (b, x) => operators.topK(b, itemAt(x, 0), 2, { axis: at.axis, largest }).values,
    inputs: [distinctTensor(random, at.shape.with(at.axis, 5))],
  }));

  gradientProperty("Trilu", shapes(2, 3), (shape, random) => ({
    build: (b, x) => b.one("Trilu", [itemAt(x, 0)], { upper: 0 }),
    inputs: [randomTensor(random, shape)],
  }));
});

describe("operators that make tensors out of shapes", () => {
  it("give what they say", async () => {
    const b = builderFor(standardOperators, "producers");
    const x = b.input("x", { dtype: "int64", shape: [2, 2] });
    b.output("shape", operators.shapeOf(b, x));
    b.output("size", operators.sizeOf(b, x));
    b.output("range", operators.range(b, 1, 8, 3));
    b.output("filled", indexing.constantOfShape(b, [2, 1], 3));
    b.output("oneHot", indexing.oneHot(b, x, 3, { axis: 1, on: 2, off: -1 }));
    const results = await runGraph(b.finish(), { x: int64Tensor([0, 2, 1, 1], [2, 2]) });
    const numbers = Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, toNumbers(tensor)]));
    expect(numbers).toEqual({
      shape: [2, 2],
      size: [4],
      range: [1, 4, 7],
      filled: [3, 3],
      oneHot: [2, -1, -1, -1, -1, 2, -1, -1, 2, 2, -1, -1],
    });
  });

  it("adds up what several threads scatter to one place", async () => {
    const count = 200_000;
    const b = builderFor(standardOperators, "scatter");
    const index = b.input("index", { dtype: "int64", shape: [count, 1] });
    const updates = b.input("updates", { dtype: "float32", shape: [count] });
    b.output("sum", indexing.scatterND(b, indexing.constantOfShape(b, [2]), index, updates, "add"));
    const feeds = {
      index: int64Tensor(
        Array.from({ length: count }, (_, i) => i % 2),
        [count, 1],
      ),
      updates: { dtype: "float32", shape: [count], data: new Float32Array(count).fill(1) },
    } as const;
    const { sum } = await runGraph(b.finish(), feeds, { threads: 4 });
    expect(sum === undefined ? [] : [...float32Data(sum)]).toEqual([count / 2, count / 2]);
  });
});
