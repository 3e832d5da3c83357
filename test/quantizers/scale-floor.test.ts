/** Trained scales keep a lower limit in every quantizer, and a quantizer at that limit gives numbers. */
import { describe, expect, it } from "vitest";
import { float32Epsilon } from "../../src/base/rounding.ts";
import { filled, float32Data } from "../../src/ir/tensor.ts";
import { quantizerNamed } from "../../src/quantizers/index.ts";
import { randomTensor, seeded } from "../support/random.ts";
import { loadQuantizer } from "../support/training/quantizer.ts";
import { laws } from "./law-specs.ts";

const shape = [4, 5];
const type = { dtype: "float32", shape } as const;

/** The specs whose quantizers train scales or clipping limits, one of each name and sign. */
const trained = [
  ...new Map(
    laws
      .filter(({ spec }) => bounded(spec).length > 0 && spec.groupSize === undefined)
      .map(({ spec }) => [`${spec.quantizer}, codes ${spec.quantMin}..${spec.quantMax}`, spec] as const),
  ),
];

function bounded(spec: (typeof laws)[number]["spec"]) {
  return quantizerNamed(spec.quantizer)
    .parameters(spec, type)
    .filter(({ trainable, minimum, isList }) => trainable && minimum !== undefined && isList !== true);
}

describe("the lower limit of a trained scale", () => {
  it("is there for every quantizer that trains one", () => {
    const names = new Set(trained.map(([, spec]) => spec.quantizer));
    expect([...names].sort()).toEqual([
      "apot",
      "ewgs",
      "learnable",
      "lsq",
      "lsq+",
      "n2uq",
      "pact",
      "powerOfTwo",
      "tqt",
    ]);
  });

  it.each(trained)("is no less than the epsilon of float32, as torch's: %s", (_name, spec) => {
    // TQT trains a logarithm: no update makes its scale 0 or negative.
    const lowest = spec.quantizer === "tqt" ? -64 : float32Epsilon;
    for (const { name, minimum } of bounded(spec)) expect(minimum, name).toBeGreaterThanOrEqual(lowest);
  });

  it.each(trained)("gives finite values and gradients: %s", async (_name, spec) => {
    const run = await loadQuantizer(spec, shape);
    const parameters = new Map(
      quantizerNamed(spec.quantizer)
        .parameters(spec, type)
        .map(({ name, shape: own, minimum, initial }) => [name, filled(own, minimum ?? initial)] as const),
    );
    const { y, dx, gradients } = await run(randomTensor(seeded(3), shape), parameters);
    for (const tensor of [y, dx, ...Object.values(gradients)]) {
      expect(float32Data(tensor).every(Number.isFinite)).toBe(true);
    }
  });
});
