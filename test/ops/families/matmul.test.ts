/** Gradients of matrix products against central differences, over all transpositions and batch shapes. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UnsupportedError } from "../../../src/errors.ts";
import { einsum, gemm, matmul } from "../../../src/ops/families/matmul.ts";
import { gradientsOf } from "../../support/graphs/gradient-check.ts";
import { broadcastingShapes, gradientProperty, itemAt } from "../../support/graphs/gradient-property.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const size = fc.integer({ min: 1, max: 4 });
const sizes = fc.record({ rows: size, inner: size, columns: size });

describe("gradients of matrix products", () => {
  const batched = fc.record({ ...sizesOf(), batch: fc.option(broadcastingShapes(), { nil: [[], []] as const }) });
  gradientProperty(
    "matmul with broadcast batches",
    batched,
    ({ rows, inner, columns, batch }, random) => ({
      build: (b, x) => matmul(b, itemAt(x, 0), itemAt(x, 1)),
      inputs: [
        randomTensor(random, [...itemAt(batch, 0), rows, inner]),
        randomTensor(random, [...itemAt(batch, 1), inner, columns]),
      ],
    }),
    { runs: 20 },
  );

  for (const [name, left, right] of [
    ["vector by matrix", 1, 2],
    ["matrix by vector", 2, 1],
    ["vector by vector", 1, 1],
    ["batch by vector", 3, 1],
    ["vector by batch", 1, 3],
    ["batch by matrix", 3, 2],
  ] as const) {
    gradientProperty(
      `matmul of ${name}`,
      sizes,
      ({ rows, inner, columns }, random) => ({
        build: (b, x) => matmul(b, itemAt(x, 0), itemAt(x, 1)),
        inputs: [
          randomTensor(random, [2, rows, inner].slice(3 - left)),
          randomTensor(random, right === 1 ? [inner] : [2, inner, columns].slice(3 - right)),
        ],
      }),
      { runs: 6 },
    );
  }

  const gemms = fc.record({
    ...sizesOf(),
    transA: fc.boolean(),
    transB: fc.boolean(),
    alpha: fc.constantFrom(1, 0.5),
    beta: fc.constantFrom(1, 2),
    c: fc.constantFrom("none", "scalar", "row", "column", "whole"),
  });
  gradientProperty(
    "gemm",
    gemms,
    ({ rows, inner, columns, transA, transB, alpha, beta, c }, random) => {
      const cShape = { none: undefined, scalar: [], row: [columns], column: [rows, 1], whole: [rows, columns] }[c];
      const cTensors = cShape === undefined ? [] : [randomTensor(random, cShape)];
      return {
        build: (b, x) => gemm(b, itemAt(x, 0), itemAt(x, 1), x[2], { transA, transB, alpha, beta }),
        inputs: [
          randomTensor(random, transA ? [inner, rows] : [rows, inner]),
          randomTensor(random, transB ? [columns, inner] : [inner, columns]),
          ...cTensors,
        ],
      };
    },
    { runs: 30 },
  );

  const letters: Readonly<Record<string, number>> = { b: 2, h: 2, i: 3, j: 2, k: 4, l: 2 };
  for (const equation of [
    "bij,bjk->bik",
    "bhik,bhjk->bhij",
    "ij,jk",
    "ij,j->i",
    "i,j->ij",
    "ijk->ki",
    "ij,jk->k",
    "ij->",
    "bhi,ij,bk->bh",
    "ij,jk,kl->il",
    "i,i,i->i",
  ]) {
    gradientProperty(
      `einsum ${equation}`,
      fc.constant(equation),
      (_, random) => ({
        build: (b, x) => einsum(b, equation, x),
        inputs: (equation.split("->")[0] ?? "").split(",").map((operand) =>
          randomTensor(
            random,
            [...operand].map((letter) => letters[letter] ?? 1),
          ),
        ),
      }),
      { runs: 2 },
    );
  }
});

describe("einsum without a gradient", () => {
  it("says which equation and why", async () => {
    const x = randomTensor(seeded(1), [3, 3]);
    const weights = randomTensor(seeded(2), [3]);
    const diagonal = gradientsOf((b, values) => einsum(b, "ii->i", values), [x], weights);
    await expect(diagonal).rejects.toThrow(UnsupportedError);
    await expect(diagonal).rejects.toThrow(/Einsum "ii->i": a letter comes twice/);
  });
});

function sizesOf() {
  return { rows: size, inner: size, columns: size };
}
