/** Networks of tokens: rows of a table and masks, from one input or two, agree in every code and with the simulation. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildEvaluation } from "../../src/compile/build/evaluation.ts";
import type { ImageInput } from "../../src/compile/build/input.ts";
import { convert } from "../../src/convert/convert.ts";
import { interpret } from "../../src/convert/interpreter/interpret.ts";
import { showMismatch } from "../../src/convert/prove/verify.ts";
import { float32Data, makeTensor } from "../../src/ir/tensor.ts";
import { ForwardJob } from "../../src/runtime/job.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { StateBuffers } from "../../src/runtime/state.ts";
import { convertibleConfig, provenOn } from "../support/convert/agreement.ts";
import { quantizedWith, withRandomValues } from "../support/convert/random/network.ts";
import {
  type TransformerDescription,
  transformerDescriptions,
  transformerNetwork,
  vocabulary,
} from "../support/convert/random/transformer.ts";
import { seeded } from "../support/random.ts";

const engine = nodeEngine({ threads: 1 });
const runs = Number(process.env.SUBBYTE_CONVERT_RUNS ?? 25);
const seed = Number(process.env.SUBBYTE_CONVERT_SEED ?? 20261129);
const samples = 4;

const descriptions: fc.Arbitrary<TransformerDescription> = fc
  .tuple(transformerDescriptions, fc.constantFrom("tokens", "tokens and an added mask", "tokens and a chosen mask"))
  .map(([description, enters]) => ({ ...description, enters }));

/** Rows of token numbers, and of ones for the tokens that there are: at least the first. */
function rowsOf({ tokens, enters }: TransformerDescription, random: () => number) {
  const inputs = enters === "tokens" ? ["tokens"] : ["tokens", "there"];
  const numbers = Array.from({ length: samples }, () => {
    const there = 1 + Math.floor(random() * tokens);
    return inputs.map((name) =>
      Array.from({ length: tokens }, (_, i) =>
        name === "tokens" ? Math.floor(random() * vocabulary) : Number(i < there),
      ),
    );
  }).flat(2);
  const input: ImageInput =
    inputs.length === 1
      ? { dtype: "int32" }
      : { dtype: "int32", parts: inputs.map((name, i) => ({ name, shape: [tokens], start: i * tokens })) };
  return { input, data: makeTensor("int32", [samples, inputs.length * tokens], Int32Array.from(numbers)) };
}

describe("networks of tokens", () => {
  it.each([
    ["minmax", 8],
    ["lsq", 4],
    ["lsq+", 4],
  ] as const)("agree in every code, and with the simulation at 8 bits: %s, %i bits", async (preset, bits) => {
    const config = convertibleConfig(preset, { weightBits: bits, activationBits: bits }, 8);
    await fc.assert(
      fc.asyncProperty(descriptions, fc.nat(), async (description, each) => {
        const random = seeded(each);
        const float = withRandomValues(transformerNetwork(description, each), random);
        const { input, data } = rowsOf(description, random);
        const quantized = await quantizedWith(float, config, data, input);
        const network = convert(quantized, { input });
        const { programs } = await provenOn(network, data, engine);
        expect(programs.flatMap(({ first }) => (first === undefined ? [] : [showMismatch(first)]))).toEqual([]);
        expect(programs.every(({ compared }) => compared > 0)).toBe(true);
        if (bits < 8) return;
        const job = await ForwardJob.create(engine, buildEvaluation(quantized, { batchSize: samples, input }));
        const state = new StateBuffers(quantized.parameters.map(({ name, value }) => [name, value] as const));
        const [simulated] = Object.values(await job.run(state, data));
        await job.release();
        if (simulated === undefined) throw new Error("the simulation has no output");
        const expected = float32Data(simulated);
        const length = data.data.length / samples;
        const [output] = network.outputs;
        const actual = Array.from({ length: samples }, (_, i) => {
          const row = Array.from({ length }, (_, j) => Number(data.data[i * length + j]));
          return [...(interpret(network, row)[output?.tensor ?? -1] ?? [])];
        }).flat();
        const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-3);
        expect(Math.max(...actual.map((value, i) => Math.abs(value - (expected[i] ?? 0)) / largest))).toBeLessThan(0.1);
      }),
      { numRuns: runs, seed },
    );
  });
});
