/** Recurrent layers as integers: simulation, ONNX Runtime, interpreter and C agree in every code, and C loops over time. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { convert } from "../../src/convert/convert.ts";
import { buildCProgram } from "../../src/convert/formats/c/program.ts";
import { float32Data } from "../../src/ir/tensor.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { convertibleConfig, provenOn } from "../support/convert/agreement.ts";
import { expectSameInC } from "../support/convert/c-program.ts";
import { quantizedWith } from "../support/convert/random/network.ts";
import { randomTensor, seeded } from "../support/random.ts";
import {
  type RecurrentDescription,
  recurrentDescriptions,
  recurrentNetwork,
} from "../support/training/recurrent-network.ts";

const engine = nodeEngine({ threads: 1 });
const runs = Number(process.env.SUBBYTE_CONVERT_RUNS ?? 2);
const seed = Number(process.env.SUBBYTE_CONVERT_SEED ?? 20261129);
const samples = 4;

async function converted(description: RecurrentDescription, preset = "lsq", bits = 4) {
  const { steps = 5, features = 4 } = description;
  const data = randomTensor(seeded((description.seed ?? 1) + 1), [samples, steps, features], { low: -2, high: 2 });
  const config = convertibleConfig(preset, { weightBits: bits, activationBits: bits }, 8);
  const network = await quantizedWith(recurrentNetwork(description), config, data);
  return { network: convert(network, { input: { dtype: "float32" } }), data };
}

describe("every code is equal", () => {
  it.each([
    ["lsq", 8],
    ["lsq", 4],
    ["lsq+", 4],
    ["minmax", 4],
    ["pact", 3],
    ["lsq", 2],
  ] as const)("%s at %i bits", async (preset, bits) => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(
        recurrentDescriptions,
        fc.constantFrom("float" as const, "fixed" as const),
        async (given, arithmetic) => {
          const { network, data } = await converted(given, preset, bits);
          const { programs } = await provenOn(network, data, engine);
          for (const program of programs) {
            expect(program.first).toBeUndefined();
            compared += program.compared;
          }
          expectSameInC(network, arithmetic, float32Data(data), samples);
        },
      ),
      { numRuns: runs, seed },
    );
    expect(compared).toBeGreaterThan(0);
  });
});

describe("the C program", () => {
  const cases: readonly RecurrentDescription[] = [
    { op: "LSTM" },
    { op: "GRU" },
    { op: "RNN", readsSequence: true },
    { op: "LSTM", direction: "bidirectional", readsSequence: true },
    { op: "GRU", direction: "reverse", resetsAfter: false },
  ];
  it.each(cases)("loops over time: %o", async (description) => {
    const of = async (steps: number) => buildCProgram((await converted({ ...description, steps })).network);
    const [short, long] = [await of(24), await of(48)];
    // The head reads every state: its weights grow, of eight bits or fewer for 24 states more, three outputs and two directions.
    const head = description.readsSequence === true ? 24 * 3 * 3 * 2 : 0;
    expect(long.constantBytes - short.constantBytes).toBeLessThanOrEqual(head);
    expect(long.source.split("\n").length).toBeLessThan(short.source.split("\n").length * 1.1 + 30);
    expect(long.source).toMatch(/for \(int step = 0; step < \d+; step\+\+\) \{/);
  });

  it("stores a sequence of states where it lies, and what a step needs once", async () => {
    const bytes = async (steps: number) =>
      buildCProgram((await converted({ op: "LSTM", steps, hidden: 4, readsSequence: true })).network).arenaBytes;
    // A step more needs its data (4 codes) and its state (4 codes).
    expect(((await bytes(40)) - (await bytes(20))) / 20).toBeLessThanOrEqual(8);
  });
});
