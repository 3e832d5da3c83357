/**
 * Converted networks against the simulation that was trained. Codes on a rounding boundary may go either way there, because the simulation folds
 * nothing; a form that computes something else is far off.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { buildEvaluation } from "../../../src/compile/build/evaluation.ts";
import { convert } from "../../../src/convert/convert.ts";
import { interpret } from "../../../src/convert/interpreter/interpret.ts";
import { float32Data } from "../../../src/ir/tensor.ts";
import { elementCount } from "../../../src/ir/types.ts";
import { ForwardJob } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";
import { convertibleConfig } from "../../support/convert/agreement.ts";
import {
  networkDescriptions,
  quantizedWith,
  randomNetwork,
  sampleShapeOf,
} from "../../support/convert/random/network.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const runs = Number(process.env.SUBBYTE_CONVERT_RUNS ?? 60);
const seed = Number(process.env.SUBBYTE_CONVERT_SEED ?? 20261129);
const samples = 3;

it("a converted network gives what the simulation gives, at 8 bits", async () => {
  const engine = nodeEngine({ threads: 1 });
  const config = convertibleConfig("minmax", { weightBits: 8, activationBits: 8 }, 8);
  await fc.assert(
    fc.asyncProperty(networkDescriptions, async (description) => {
      const shape = sampleShapeOf(description);
      const data = randomTensor(seeded(description.seed + 1), [samples, ...shape], { low: -2, high: 2 });
      const quantized = await quantizedWith(randomNetwork(description), config, data);
      const job = await ForwardJob.create(
        engine,
        buildEvaluation(quantized, { batchSize: samples, input: { dtype: "float32" } }),
      );
      const state = new StateBuffers(quantized.parameters.map(({ name, value }) => [name, value] as const));
      const [simulated] = Object.values(await job.run(state, data));
      await job.release();
      if (simulated === undefined) throw new Error("the simulation has no output");
      const expected = float32Data(simulated);
      const network = convert(quantized, { input: { dtype: "float32" } });
      const [output] = network.outputs;
      const size = elementCount(shape);
      const actual = Array.from({ length: samples }, (_, i) => [
        ...(interpret(network, float32Data(data).subarray(i * size, (i + 1) * size))[output?.tensor ?? -1] ?? []),
      ]).flat();
      const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-3);
      const off = actual.map((value, i) => Math.abs(value - (expected[i] ?? 0)) / largest);
      expect(Math.max(...off)).toBeLessThan(0.1);
    }),
    { numRuns: runs, seed },
  );
});
