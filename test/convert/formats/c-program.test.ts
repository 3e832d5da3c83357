/** The C program: compiled without warnings, run here, equal to the interpreter in every code. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { convert } from "../../../src/convert/convert.ts";
import { float32Data, makeTensor } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { isConvertible } from "../../support/convert/agreement.ts";
import { expectSameInC } from "../../support/convert/c-program.ts";
import {
  networkDescriptions,
  quantizedWith,
  randomNetwork,
  sampleShapeOf,
  withRandomValues,
} from "../../support/convert/random/network.ts";
import { transformerExample, transformerNetwork } from "../../support/convert/random/transformer.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const samples = 3;
const runs = Number(process.env.SUBBYTE_CONVERT_RUNS ?? 3);

describe("the C program", () => {
  for (const arithmetic of ["float", "fixed"] as const) {
    for (const [preset, bits] of [
      ["lsq", 8],
      ["lsq", 3],
      ["lsq+", 4],
      ["minmax", 4],
      ["thread", 2],
      ["apot", 4],
      ["apot", 3],
    ] as const) {
      it(`is equal to the interpreter: ${arithmetic}, ${preset} W${bits}A${bits}`, async () => {
        await fc.assert(
          fc.asyncProperty(networkDescriptions, fc.constantFrom(null, 8), async (description, residualBits) => {
            fc.pre(isConvertible(preset, description, residualBits));
            const data = randomTensor(seeded(description.seed + 1), [samples, ...sampleShapeOf(description)]);
            const base = presetNamed(preset, { weightBits: bits, activationBits: bits });
            const config = preset === "thread" ? base : { ...base, residualBits };
            const quantized = await quantizedWith(randomNetwork(description), config, data);
            const network = convert(quantized, { input: { dtype: "float32" } });
            expectSameInC(network, arithmetic, float32Data(data), samples);
          }),
          { numRuns: runs },
        );
      });
    }
  }

  for (const arithmetic of ["float", "fixed"] as const) {
    it(`is equal to the interpreter: ${arithmetic}, tokens of which a mask says which there are`, async () => {
      const description = { ...transformerExample, enters: "tokens and an added mask", tokens: 4 } as const;
      const parts = ["tokens", "there"].map((name, i) => ({ name, shape: [4], start: 4 * i }));
      const input = { dtype: "int32", parts } as const;
      const data = Int32Array.of(3, 1, 0, 6, 1, 1, 1, 0, 5, 5, 2, 4, 1, 0, 0, 0, 6, 0, 1, 2, 1, 1, 1, 1);
      const float = withRandomValues(transformerNetwork(description, 5), seeded(5));
      const config = { ...presetNamed("lsq", { weightBits: 4, activationBits: 4 }), residualBits: 8 };
      const tensor = makeTensor("int32", [samples, 8], data);
      const network = convert(await quantizedWith(float, config, tensor, input), { input });
      expectSameInC(network, arithmetic, data, samples);
    });
  }

  for (const [name, width] of [["resnet20", 4]] as const) {
    for (const arithmetic of ["float", "fixed"] as const) {
      it(`is equal to the interpreter: ${arithmetic}, a whole ${name}`, async () => {
        const sampleShape = [3, 8, 8];
        const random = seeded(11);
        const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
        const float = makeModel(name, { sampleShape, classes: 10, width }, { uniform: random, normal });
        const data = randomTensor(seeded(12), [samples, ...sampleShape], { low: -2, high: 2 });
        const config = presetNamed("lsq", { weightBits: 4, activationBits: 4 });
        const quantized = await quantizedWith(withRandomValues(float, random), config, data);
        const network = convert(quantized, { input: { dtype: "float32" } });
        expect(expectSameInC(network, arithmetic, float32Data(data), samples)).toBeGreaterThan(60);
      });
    }
  }
});
