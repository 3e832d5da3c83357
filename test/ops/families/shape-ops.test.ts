/** Gradients of operators that move elements against central differences. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UnsupportedError } from "../../../src/errors.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { builderFor } from "../../../src/ops/definition.ts";
import * as shapeOps from "../../../src/ops/families/shape/shape-ops.ts";
import { standardOperators } from "../../../src/ops/index.ts";
import { gradientsOf } from "../../support/graphs/gradient-check.ts";
import { gradientProperty, itemAt, shapes, shapeWithAxis } from "../../support/graphs/gradient-property.ts";
import * as operators from "../../support/graphs/operators.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const permutations = shapes(1, 4).chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    order: fc.shuffledSubarray(
      shape.map((_, i) => i),
      { minLength: shape.length },
    ),
  }),
);

/** A range of every axis, often with steps, backward, or with bounds beyond the ends. */
const sliced = shapes(1, 3, 7).chain((shape) => {
  const bound = fc.integer({ min: -9, max: 9 });
  const step = fc.constantFrom(1, 1, 2, 3, -1, -2, -3);
  const per = <Item>(item: fc.Arbitrary<Item>) => fc.array(item, { minLength: shape.length, maxLength: shape.length });
  return fc.record({ shape: fc.constant(shape), starts: per(bound), ends: per(bound), steps: per(step) });
});

describe("gradients of operators that move elements", () => {
  gradientProperty("reshape", permutations, ({ shape, order }, random) => ({
    build: (b, x) =>
      shapeOps.reshape(
        b,
        itemAt(x, 0),
        order.map((i) => itemAt(shape, i)),
      ),
    inputs: [randomTensor(random, shape)],
  }));

  gradientProperty("flatten", shapeWithAxis(1, 4), ({ shape, axis }, random) => ({
    build: (b, x) => shapeOps.flatten(b, itemAt(x, 0), axis),
    inputs: [randomTensor(random, shape)],
  }));

  gradientProperty("transpose", permutations, ({ shape, order }, random) => ({
    build: (b, x) => shapeOps.transpose(b, itemAt(x, 0), order),
    inputs: [randomTensor(random, shape)],
  }));

  gradientProperty("transpose without a permutation", shapes(), (shape, random) => ({
    build: (b, x) => b.one("Transpose", [itemAt(x, 0)]),
    inputs: [randomTensor(random, shape)],
  }));

  gradientProperty("unsqueeze and squeeze", shapes(), (shape, random) => ({
    build: (b, x) => shapeOps.squeeze(b, shapeOps.unsqueeze(b, itemAt(x, 0), [0, -1]), [0]),
    inputs: [randomTensor(random, shape)],
  }));

  gradientProperty("squeeze everything", shapes(), (shape, random) => ({
    build: (b, x) => shapeOps.squeeze(b, itemAt(x, 0)),
    inputs: [randomTensor(random, [1, ...shape, 1])],
  }));

  gradientProperty("concat", shapeWithAxis(), ({ shape, axis }, random) => ({
    build: (b, x) => shapeOps.concat(b, x, axis),
    inputs: [1, 3, 2].map((size) => randomTensor(random, shape.with(axis, size))),
  }));

  const pads = shapes(1, 3).chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      counts: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 2 * shape.length, maxLength: 2 * shape.length }),
      crop: fc.boolean(),
    }),
  );
  gradientProperty("pad", pads, ({ shape, counts, crop }, random) => ({
    build: (b, x) => shapeOps.pad(b, itemAt(x, 0), crop ? counts.with(0, -1) : counts, { value: 0.5 }),
    inputs: [randomTensor(random, shape.with(0, itemAt(shape, 0) + 1))],
  }));

  const folded = fc.record({
    mode: fc.constantFrom("reflect", "edge", "wrap"),
    shape: fc.array(fc.integer({ min: 4, max: 5 }), { minLength: 1, maxLength: 3 }),
    counts: fc.array(fc.integer({ min: -1, max: 2 }), { minLength: 6, maxLength: 6 }),
  });
  gradientProperty(
    "pad by what is inside",
    folded,
    ({ mode, shape, counts }, random) => ({
      build: (b, x) => shapeOps.pad(b, itemAt(x, 0), counts.slice(0, 2 * shape.length), { mode }),
      inputs: [randomTensor(random, shape)],
    }),
    { runs: 40 },
  );

  gradientProperty(
    "slice",
    sliced.filter(({ shape, starts, ends, steps }) => {
      const b = builderFor(standardOperators, "empty?");
      const x = b.input("x", { dtype: "float32", shape });
      const y = shapeOps.slice(b, x, { axes: shape.map((_, i) => i), starts, ends, steps });
      return !y.type.shape.includes(0);
    }),
    ({ shape, starts, ends, steps }, random) => ({
      build: (b, x) => shapeOps.slice(b, itemAt(x, 0), { axes: shape.map((_, i) => i), starts, ends, steps }),
      inputs: [randomTensor(random, shape)],
    }),
    { runs: 40 },
  );

  gradientProperty("split, with a part that is not used", shapeWithAxis(), ({ shape, axis }, random) => ({
    build: (b, x) => {
      const parts = shapeOps.split(b, itemAt(x, 0), axis, [1, 2, 3]);
      return shapeOps.concat(b, [itemAt(parts, 2), itemAt(parts, 0)], axis);
    },
    inputs: [randomTensor(random, shape.with(axis, 6))],
  }));

  gradientProperty("expand", shapes(), (shape, random) => ({
    build: (b, x) => shapeOps.expand(b, itemAt(x, 0), [2, ...shape.map((size) => (size === 1 ? 3 : size))]),
    inputs: [randomTensor(random, shape)],
  }));

  gradientProperty("tile", shapes(), (shape, random) => ({
    build: (b, x) =>
      operators.tile(
        b,
        itemAt(x, 0),
        shape.map((_, i) => i + 1),
      ),
    inputs: [randomTensor(random, shape)],
  }));

  for (const mode of ["DCR", "CRD"] as const) {
    gradientProperty(
      `depthToSpace ${mode}`,
      shapes(2, 2, 2),
      ([h = 1, w = 1], random) => ({
        build: (b, x) => shapeOps.depthToSpace(b, itemAt(x, 0), 2, mode),
        inputs: [randomTensor(random, [2, 8, h, w])],
      }),
      { runs: 4 },
    );
  }

  gradientProperty(
    "spaceToDepth",
    shapes(2, 2, 2),
    ([h = 1, w = 1], random) => ({
      build: (b, x) => shapeOps.spaceToDepth(b, itemAt(x, 0), 2),
      inputs: [randomTensor(random, [1, 3, 2 * h, 2 * w])],
    }),
    { runs: 4 },
  );
});

describe("where there is no gradient", () => {
  const x = randomTensor(seeded(1), [3, 4]);

  it("an empty slice gives zeros", async () => {
    const gradients = await gradientsOf(
      (b, [value]) => shapeOps.slice(b, value ?? b.scalar(0), { axes: [0], starts: [2], ends: [1] }),
      [x],
      randomTensor(seeded(2), [0, 4]),
    );
    expect(gradients.get(0)?.data).toEqual(new Float32Array(12));
  });

  it("the fill of a padding is refused with the node's name", async () => {
    const filled = gradientsOf(
      (b, [value, fill]) => shapeOps.pad(b, value ?? b.scalar(0), [1, 1, 1, 1], { value: fill ?? 0 }),
      [x, float32Tensor([], [2])],
      randomTensor(seeded(2), [5, 6]),
    );
    await expect(filled).rejects.toThrow(UnsupportedError);
    await expect(filled).rejects.toMatchObject({ where: expect.stringContaining("node Pad") });
  });
});
