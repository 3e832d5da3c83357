/** The fast interpreter gives the reference's numbers, bit for bit. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { convert } from "../../../src/convert/convert.ts";
import { interpretFast } from "../../../src/convert/fast/interpret.ts";
import { interpret } from "../../../src/convert/interpreter/interpret.ts";
import { float32Data } from "../../../src/ir/tensor.ts";
import { elementCount } from "../../../src/ir/types.ts";
import { convertibleConfig, convertiblePresets, isConvertible } from "../../support/convert/agreement.ts";
import {
  codesForm,
  convolutions,
  type OperationCase,
  oneOperation,
  products,
  sums,
  weightOf,
} from "../../support/convert/integer-operations.ts";
import {
  networkDescriptions,
  quantizedWith,
  randomNetwork,
  sampleShapeOf,
} from "../../support/convert/random/network.ts";
import { randomTensor, seeded } from "../../support/random.ts";

function expectEqual({ network, sample }: OperationCase): void {
  const reference = interpret(network, sample);
  expect(reference[1]?.length).toBe(network.tensors[1]?.shape.reduce((product, each) => product * each, 1));
  expect(interpretFast(network, sample)).toEqual(reference);
}

describe("the fast interpreter equals the reference", () => {
  it.each([
    ["convolutions", convolutions],
    ["fully connected layers", products],
    ["sums", sums],
  ])("in single operations: %s", (_, cases) => {
    fc.assert(fc.property(cases, expectEqual), { numRuns: 400 });
  });

  it("in whole networks, by both arithmetics", async () => {
    const presets = fc.constantFrom(...convertiblePresets);
    await fc.assert(
      fc.asyncProperty(networkDescriptions, presets, async (description, preset) => {
        fc.pre(isConvertible(preset, description, 8));
        const shape = sampleShapeOf(description);
        const data = randomTensor(seeded(description.seed + 1), [2, ...shape], { low: -2, high: 2 });
        const config = convertibleConfig(preset, { weightBits: 4, activationBits: 3 }, 8);
        const network = convert(await quantizedWith(randomNetwork(description), config, data), {
          input: { dtype: "float32" },
        });
        const sample = float32Data(data).subarray(0, elementCount(shape));
        for (const arithmetic of ["float", "fixed"] as const) {
          expect(interpretFast(network, sample, { arithmetic })).toEqual(interpret(network, sample, { arithmetic }));
        }
      }),
      { numRuns: 25 },
    );
  });

  it("and refuses sums that leave int32, already where they could", () => {
    const huge = (codes: readonly number[]) => {
      const weight = weightOf([1, codes.length], codes);
      const shapes = { input: [1, codes.length], output: [1, 1] };
      return oneOperation({ op: "IntegerGemm", name: "fc", input: 0, output: 1, weight }, shapes, {
        input: codesForm(0),
      });
    };
    const [grows, cancels] = [huge([2 ** 28, 2 ** 28]), huge([2 ** 28, -(2 ** 28)])];
    expect(() => interpret(grows, [7, 7])).toThrow(/fc: the accumulator 3758096384 is not an int32/);
    expect(() => interpretFast(grows, [7, 7])).toThrow(/fc: the accumulator 3758096384 is not an int32/);
    expect(interpret(cancels, [7, 7])[1]).toEqual(Float64Array.of(0));
    expect(() => interpretFast(cancels, [7, 7])).toThrow(/not an int32/);
  });
});
