/** Traits of quantizers, held against what the quantizers do. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float32Data, float32Tensor } from "../../src/ir/tensor.ts";
import { decode } from "../../src/quantizers/arithmetic/scalar.ts";
import type { QuantizerDefinition, QuantizerSpec, QuantizerTraits } from "../../src/quantizers/definition.ts";
import { quantizers } from "../../src/quantizers/index.ts";
import { toCodes } from "../../src/quantizers/integers.ts";
import { loadQuantizer, specFor } from "../support/training/quantizer.ts";
import { laws, parametersFor, shape, size, values } from "./law-specs.ts";

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

/** A spec for one group of all elements, so that one grid covers the tensor. */
function ofOneGroup({ channelAxis: _axis, groupSize, ...spec }: QuantizerSpec): QuantizerSpec {
  return groupSize === undefined ? spec : { ...spec, groupSize: size };
}

/** What a spec does to the elements of tensors. */
interface Behaviour {
  /** Whether an element beyond the outermost levels had a gradient. */
  leaks: boolean;
  /** Whether every element between the outermost levels went to a level at most half a scale away. */
  roundsToScale: boolean;
}

/**
 * Elements that are further beyond the outermost level than this count as outside, in distances between the last two levels.
 * torch masks by the rounded code, and rounds the zero point of `learnable` another way backward than forward.
 */
function toleranceOf({ quantizer }: QuantizerSpec): number {
  return quantizer === "learnable" ? 1.501 : 0.501;
}

/** Ranges of evenly spaced values: where a scale is a power of two, some of them exceed the outermost level. */
const ranges = [33, 40, 47, 54, 58, 61, 63].map((reach) =>
  Array.from({ length: size }, (_, i) => reach * (1 - (2 * i) / (size - 1))),
);

async function behaviourOf(spec: QuantizerSpec): Promise<Behaviour> {
  const run = await loadQuantizer(spec, shape);
  const seen: Behaviour = { leaks: false, roundsToScale: true };
  const examine = async (numbers: readonly number[], parts: readonly number[]) => {
    const x = float32Tensor(shape, numbers);
    const parameters = parametersFor(spec, parts);
    const gradients = float32Data((await run(x, parameters)).dx);
    const { codes, grid } = toCodes(spec, x, parameters);
    const [unit] = grid.units;
    if (unit === undefined) throw new Error("a grid has no unit");
    const levels = grid.codes.map((code) => decode(unit, code));
    const [lowest = 0, second = 0] = levels;
    const [penultimate = 0, highest = 0] = levels.slice(-2);
    float32Data(x).forEach((value, i) => {
      const beyond = Math.max((value - highest) / (highest - penultimate), (lowest - value) / (second - lowest));
      if (beyond > toleranceOf(spec)) seen.leaks ||= gradients[i] !== 0;
      if (beyond > 0) return;
      const distance = Math.abs(decode(unit, codes[i] ?? 0) - value);
      seen.roundsToScale &&= distance <= 0.501 * unit.scale + 1e-6 * Math.max(Math.abs(value), Math.abs(unit.offset));
    });
  };
  for (const range of ranges) await examine(range, [0.1, 0.5, 0.9]);
  const parts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 16 });
  await fc.assert(fc.asyncProperty(values, parts, examine), { numRuns: 12 });
  return seen;
}

describe("traits of quantizers", () => {
  it("name the quantizers that training steps, explanations and findings treat apart", () => {
    const withGrid = [...quantizers.values()].filter(({ grid }) => grid !== undefined).map(({ name }) => name);
    expect(withGrid).toEqual(["uniform", "lsq", "lsq+", "learnable", "pact", "tqt", "ewgs"]);
    expect(named("masksOutside")).toEqual([...withGrid, "powerOfTwo"]);
    expect(named("fixedSign")).toEqual(["minifloat"]);
    expect(named("torchRange")).toEqual(["uniform"]);
  });

  it.each([...quantizers.values()])("of $name are what its forms do", async (definition) => {
    const specs = laws.filter(({ spec, withoutIntegers }) => spec.quantizer === definition.name && !withoutIntegers);
    expect(specs.length).toBeGreaterThan(0);
    const seen: Behaviour[] = [];
    for (const { spec } of specs) seen.push(await behaviourOf(ofOneGroup(spec)));
    const { masksOutside } = definition.traits;
    expect({ masksOutside, hasGrid: definition.grid !== undefined }).toEqual({
      masksOutside: !seen.some(({ leaks }) => leaks),
      hasGrid: seen.every(({ roundsToScale }) => roundsToScale),
    });
  });

  it.each([...quantizers.values()])(
    "$name gains levels from 0 on without a sign, or its sign is fixed",
    (definition) => {
      const { name } = definition;
      const type = { dtype: "float32", shape } as const;
      const options = name === "apotTorch" ? { k: 1 } : {};
      const [signed, unsigned] = [specFor(name, 4, true, options), specFor(name, 4, false, options)];
      if (definition.check?.(signed, type) !== undefined || definition.check?.(unsigned, type) !== undefined) {
        expect(["binary", "ternary"]).toContain(name);
        expect(definition.traits.fixedSign).toBe(false);
        return;
      }
      const fromZero = (spec: QuantizerSpec) =>
        definition.integers?.codes(spec).filter((code) => code >= 0).length ?? 0;
      expect(definition.traits.fixedSign).toBe(fromZero(unsigned) <= fromZero(signed));
    },
  );

  it.each([...quantizers.values()])(
    "$name follows a range by torch's conventions, or has not that trait",
    (definition) => {
      const parameters = definition.parameters(specOf(definition), { dtype: "float32", shape: [2, 3] });
      const kept = parameters.map(({ name, trainable }) => `${name}${trainable ? " is trained" : ""}`);
      const isTorchs = kept.join() === "scale,zero_point" && definition.fromRange !== undefined;
      const readsConventions = "scheme" in definition.options && "convention" in definition.options;
      expect({ isTorchs, readsConventions }).toEqual({
        isTorchs: definition.traits.torchRange,
        readsConventions: definition.traits.torchRange,
      });
    },
  );
});

describe("initial values of parameters", () => {
  it.each([...quantizers.values()])("$name starts zero points at 0 and all else at 1", (definition) => {
    const parameters = definition.parameters(specOf(definition), { dtype: "float32", shape: [2, 3] });
    expect(parameters.filter(({ name, initial }) => initial !== (name === "zero_point" ? 0 : 1))).toEqual([]);
  });
});
