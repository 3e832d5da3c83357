import { describe, expect, it } from "vitest";
import { quantizerSite } from "../../../src/compile/sites.ts";
import { diagnose } from "../../../src/diagnose/diagnose.ts";
import { learnedChanges, ParameterWatch, trainedParameters } from "../../../src/diagnose/probe/learned-parameters.ts";
import { encodeRecord, probeRecordSchema } from "../../../src/diagnose/probe/measurement.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { quantizerNamed, quantizers } from "../../../src/quantizers/index.ts";
import { decays, factsOfRecipe, record, records, siteMeasurement } from "../synthetic.ts";

function siteOf(quantizer: string, quantMin = 0, quantMax = 15) {
  const spec = { quantizer, bits: 4, quantMin, quantMax, options: {} };
  const names = trainedParameters({ spec }).map(({ name }) => [name, `site.${name}`] as const);
  const links = { tensor: "conv1.input", parameters: Object.fromEntries(names), states: {} };
  return quantizerSite({ id: "site", kind: "activation", layer: "conv1", spec, ...links });
}

const values = (numbers: Readonly<Record<string, readonly number[]>>) =>
  Object.fromEntries(Object.entries(numbers).map(([name, list]) => [name, Float32Array.from(list)]));

describe("the trained parameters of quantizers", () => {
  it.each([
    ["lsq", { scale: [1, 2] }, { scale: [0.5, 2] }, { scale: [Math.log(0.5) / 2, Math.LN2] }],
    ["pact", { alpha: [6] }, { alpha: [0.6] }, { alpha: [-Math.log(10), Math.log(10)] }],
    ["tqt", { log2_threshold: [2] }, { log2_threshold: [-1] }, { log2_threshold: [-3 * Math.LN2, 3 * Math.LN2] }],
    ["lsq+", { scale: [0.5], offset: [0] }, { scale: [0.5], offset: [-2] }, { scale: [0, 0], offset: [-4, 4] }],
    [
      "n2uq",
      { intervals: [0.1, 0.1], start: [0], scale1: [1], scale2: [1] },
      { intervals: [0.1, 0.3], start: [0.4], scale1: [1], scale2: [2] },
      {
        intervals: [Math.log(3) / 2, Math.log(3)],
        start: [2, 2],
        scale1: [0, 0],
        scale2: [Math.LN2, Math.LN2],
      },
    ],
  ])("of %s change by ln of factors, and by steps of shifts", (quantizer, first, now, expected) => {
    const site = siteOf(quantizer, quantizer === "lsq+" ? -8 : 0, quantizer === "lsq+" ? 7 : 15);
    const moved = learnedChanges(site, values(first), values(now));
    expect(moved.map(({ name }) => name)).toEqual(Object.keys(expected));
    for (const { name, change, largestChange } of moved) {
      const [middle = Number.NaN, largest = Number.NaN] = new Map(Object.entries(expected)).get(name) ?? [];
      expect(change, name).toBeCloseTo(middle, 5);
      expect(largestChange, name).toBeCloseTo(largest, 5);
    }
  });

  it("are counted in a parameter of the same quantizer", () => {
    const unknown = [...quantizers.keys()].flatMap((name) =>
      [siteOf(name).spec, siteOf(name, -8, 7).spec].flatMap((spec) => {
        const known = quantizerNamed(name).parameters(spec, { dtype: "float32", shape: [1, 1, 1, 1] });
        const names = new Set(known.map((each) => each.name));
        return known.flatMap(({ unit }) => (unit === undefined || names.has(unit) ? [] : [`${name}: ${unit}`]));
      }),
    );
    expect(unknown).toEqual([]);
  });

  it("are watched over the steps before a probe", () => {
    const site = siteOf("pact");
    const parameter = (alpha: number) => float32Tensor([], [alpha]);
    const watch = new ParameterWatch(
      [{ name: "site.alpha", value: parameter(1), trainable: true, role: "quantizer" }],
      [site],
    );
    for (const alpha of [1, 0.5, 0.25]) watch.see({ get: () => parameter(alpha) });
    const learned = [{ name: "alpha", kind: "factor", change: 0, largestChange: 0, update: Number.NaN }] as const;
    const [measured] = watch.addTo([siteMeasurement({ name: "site", learned: [...learned] })]);
    expect(measured?.learned[0]?.update).toBeCloseTo(Math.LN2, 5);
    watch.reset();
    expect(watch.addTo([siteMeasurement({ name: "site", learned: [...learned] })])[0]?.learned[0]?.update).toBeNaN();
  });

  it("show that a decay threw PACT's limits away, at whatever probe that was", () => {
    const alpha = (change: number) =>
      ({ name: "alpha", kind: "factor", change, largestChange: Math.abs(change), update: 0.1 }) as const;
    const site = (change: number) =>
      siteMeasurement({ scaleChange: Number.NaN, largestScaleChange: Number.NaN, learned: [alpha(change)] });
    const run = records({ sites: [site(0)] }).map((record, index) =>
      index === 1 ? { ...record, sites: [site(-9)] } : record,
    );
    const facts = factsOfRecipe({ weightDecay: decays({ quantizers: 5 }) });
    const [found] = diagnose({ facts, records: run });
    expect(found?.cause).toBe("scale-decay");
    expect(found?.confidence).toBeGreaterThan(0.9);
    expect(found?.evidence.every(({ supports }) => supports)).toBe(true);
    // Limits that stayed where they were say that the gradient holds against it.
    const held = diagnose({ facts, records: records({ sites: [site(0)] }) });
    expect(held.find(({ cause }) => cause === "scale-decay")?.confidence).toBeLessThan(0.6);
  });

  it("are none in a log of an earlier version, which is read as before", () => {
    const line: unknown = JSON.parse(encodeRecord(record(16)), (key, value: unknown) =>
      key === "learned" ? undefined : value,
    );
    expect(probeRecordSchema.parse(line).sites[0]).toMatchObject({ scaleChange: 0.05, learned: [] });
  });
});
