/** Traits of quantizers, held against what the quantizers do. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float32Data, float32Tensor } from "../../src/ir/tensor.ts";
import type { QuantizerDefinition, QuantizerSpec, QuantizerTraits } from "../../src/quantizers/definition.ts";
import { quantizerNamed, quantizers } from "../../src/quantizers/index.ts";
import { loadQuantizer, specFor } from "../support/training/quantizer.ts";

/** Signed specs: weights, for which every quantizer has a form. */
const specs: Readonly<Record<string, QuantizerSpec>> = Object.fromEntries(
  [...quantizers.keys()].map((name) => {
    if (name === "binary") return [name, specFor(name, 1, true, { scale: "none" }, { quantMin: -1, quantMax: 1 })];
    if (name === "ternary") return [name, specFor(name, 2, true)];
    return [name, specFor(name, 4, true)];
  }),
);

function named(trait: keyof QuantizerTraits): string[] {
  return [...quantizers.values()].filter(({ traits }) => traits[trait]).map(({ name }) => name);
}

function specOf({ name }: QuantizerDefinition): QuantizerSpec {
  const spec = specs[name];
  if (spec === undefined) throw new Error(`no spec for ${name}`);
  return spec;
}

describe("traits of quantizers", () => {
  it("name the quantizers that training steps, explanations and findings treat apart", () => {
    expect(named("uniformGrid")).toEqual(["uniform", "lsq", "lsq+", "learnable", "tqt", "ewgs"]);
    expect([...quantizers.keys()].filter((name) => !quantizerNamed(name).traits.masksOutside)).toEqual([
      "dorefa",
      "n2uq",
      "apot",
      "apotTorch",
      "powerOfTwo",
      "binary",
      "ternary",
    ]);
    expect(named("fixedSign")).toEqual(["minifloat"]);
    expect(named("torchRange")).toEqual(["uniform"]);
  });

  const masking = [...quantizers.values()].filter(({ traits }) => traits.masksOutside);
  it.each(masking)("$name stops every gradient beyond its outermost levels", async (definition) => {
    const spec = specOf(definition);
    const run = await loadQuantizer(spec, [64]);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 64, maxLength: 64 }),
        async (list) => {
          const narrow = float32Tensor([64], Float32Array.from(list, (x) => x / 8).fill(0.1, 0, 1));
          const wide = float32Tensor(
            [64],
            Float32Array.from(list, (x) => 64 * x),
          );
          const parameters = definition.initialize(spec, narrow);
          const { y, dx } = await run(wide, parameters);
          const [values, levels, gradients] = [float32Data(wide), float32Data(y), float32Data(dx)];
          const step = Math.max(...levels) / 4;
          values.forEach((value, i) => {
            const isOutside = Math.abs(value) > Math.abs(levels[i] ?? 0) + step && Math.abs(value) > 1;
            if (isOutside) expect(gradients[i]).toBe(0);
          });
        },
      ),
      { numRuns: 20 },
    );
  });

  const uniform = [...quantizers.values()].filter(({ traits }) => traits.uniformGrid);
  it.each(uniform)("$name with a uniform grid has evenly spaced codes", (definition) => {
    const codes = definition.integers?.codes(specOf(definition)) ?? [];
    expect(codes.length).toBeGreaterThan(1);
    expect(codes.every((code, i) => i === 0 || code - (codes[i - 1] ?? 0) === 1)).toBe(true);
  });

  it("of a torch range: an observer can drive it, and it keeps a scale and a zero point that are not trained", () => {
    for (const definition of quantizers.values()) {
      if (!definition.traits.torchRange) continue;
      const parameters = definition.parameters(specOf(definition), { dtype: "float32", shape: [2, 3] });
      expect(definition.fromRange).toBeDefined();
      expect(parameters.map(({ name, trainable }) => [name, trainable])).toEqual([
        ["scale", false],
        ["zero_point", false],
      ]);
    }
  });
});

describe("initial values of parameters", () => {
  it.each([...quantizers.values()])("$name starts zero points at 0 and all else at 1", (definition) => {
    const parameters = definition.parameters(specOf(definition), { dtype: "float32", shape: [2, 3] });
    expect(parameters.filter(({ name, initial }) => initial !== (name === "zero_point" ? 0 : 1))).toEqual([]);
  });
});
