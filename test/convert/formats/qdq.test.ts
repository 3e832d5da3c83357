/** The QDQ forms run on ONNX Runtime and agree with the simulation but for values on the border of two codes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { convert } from "../../../src/convert/convert.ts";
import { buildQdqGraph } from "../../../src/convert/formats/qdq.ts";
import { onnxRunner } from "../../../src/convert/formats/run-onnx.ts";
import type { IntegerOperation } from "../../../src/convert/integer-network.ts";
import { exactRunner, verify } from "../../../src/convert/prove/verify.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { globalAveragePool } from "../../../src/ops/families/pool.ts";
import { flatten } from "../../../src/ops/families/shape/shape-ops.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import type { Engine } from "../../../src/runtime/engine.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { convertibleConfig, datasetOf } from "../../support/convert/agreement.ts";
import { convertedRandom, residualNetwork } from "../../support/convert/descriptions.ts";
import {
  networkDescriptions,
  quantizedWith,
  randomNetwork,
  sampleShapeOf,
  withRandomValues,
} from "../../support/convert/random/network.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const engine = nodeEngine({ threads: 1 });
const description = residualNetwork("none");

function largestDifference(a: ArrayLike<number> = [], b: ArrayLike<number> = []): number {
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - (b[i] ?? Number.NaN))));
}

const isSum = (operation: IntegerOperation): boolean => operation.op === "Requantize" && operation.terms.length > 1;

const unfused: Engine = {
  ...engine,
  createSession: (model, options) => engine.createSession(model, { ...options, disableGraphRewrites: true }),
};

describe("the QDQ forms", () => {
  it("multiply the skip of an addition by the factors of a batch normalization on it", async () => {
    const random = seeded(3);
    const network = new NetworkBuilder("scaled skip", { uniform: random, normal: () => 2 * random() - 1 });
    const images = network.input("images", [3, 8, 7]);
    const x = network.builder.one("Relu", [network.conv("first", images, 4, { kernel: 3, padding: 1 })]);
    const branch = network.conv("branch", x, 4, { kernel: 3, padding: 1 });
    const sum = network.add("add", branch, network.batchNorm("skip", x));
    const output = network.linear("fc", flatten(network.builder, globalAveragePool(network.builder, sum)), 3);
    const float = withRandomValues(network.finish(output), random);
    const data = randomTensor(seeded(1), [4, 3, 8, 7]);
    const config = presetNamed("lsq", { weightBits: 4, activationBits: 4 });
    const converted = convert(await quantizedWith(float, config, data), { input: { dtype: "float32" } });
    const isScaled = ({ op, ...rest }: IntegerOperation) =>
      op === "Requantize" && "terms" in rest && rest.terms.some(({ gains }) => new Set(gains).size > 1);
    expect(converted.operations.filter(isScaled).length).toBeGreaterThan(1);
    const graph = buildQdqGraph(converted, { batchSize: 4, types: "clip" });
    const runner = await onnxRunner("qdq", converted, graph, engine, () => 0);
    const simulation = await exactRunner(converted, engine, 4);
    const logits = converted.outputs[0]?.tensor ?? Number.NaN;
    const [got, expected] = [await runner.run(data), await simulation.run(data)].map((each) => each.get(logits) ?? []);
    await Promise.all([runner.release(), simulation.release()]);
    expect(expected).toHaveLength(12);
    expect(largestDifference(got, expected)).toBeLessThan(1e-4);
  });

  it("give the outputs of every kind of layer, on grids with an offset too", async () => {
    await fc.assert(
      fc.asyncProperty(networkDescriptions, fc.constantFrom("minmax", "lsq+"), async (network, preset) => {
        // Steps of minmax are small: one code on a border moves an output little.
        const data = randomTensor(seeded(network.seed + 1), [3, ...sampleShapeOf(network)], { low: -2, high: 2 });
        const config = convertibleConfig(preset, { weightBits: 8, activationBits: 8 }, 8);
        const converted = convert(await quantizedWith(randomNetwork(network), config, data), {
          input: { dtype: "float32" },
        });
        const graph = buildQdqGraph(converted, { batchSize: 3, types: "clip" });
        // ONNX Runtime makes its QLinearSoftmax of a softmax between codes, which is off by a code now and then.
        const used = network.transformer === undefined ? engine : unfused;
        const runner = await onnxRunner("qdq", converted, graph, used, () => 0);
        const simulation = await exactRunner(converted, engine, 3);
        const logits = converted.outputs[0]?.tensor ?? Number.NaN;
        const [got, expected] = [await runner.run(data), await simulation.run(data)].map((each) => each.get(logits));
        await Promise.all([runner.release(), simulation.release()]);
        const largest = Math.max(1e-3, ...Array.from(expected ?? [], Math.abs));
        expect(largestDifference(got, expected) / largest).toBeLessThan(0.05);
      }),
      { numRuns: 60, seed: 20261129 },
    );
  });

  for (const types of ["native", "clip"] as const) {
    for (const [preset, bits] of [
      ["lsq", 4],
      ["lsq", 2],
      ["minmax", 3],
      ["minmax", 8],
    ] as const) {
      it(`run and agree within the rounding of floats: ${types}, ${preset} W${bits}A${bits}`, async () => {
        const config = { ...presetNamed(preset, { weightBits: bits, activationBits: bits }), residualBits: 8 };
        const { converted: network, data } = await convertedRandom(description, config);
        const graph = buildQdqGraph(network, { batchSize: 4, types, codes: true });
        const runner = await onnxRunner("qdq", network, graph, engine, () => 0);
        const result = await verify(network, datasetOf(data), engine, {
          batchSize: 4,
          runners: [runner],
          interpretedSamples: 0,
        });
        const [program] = result.programs;
        const codes = (program?.compared ?? 0) - 4 * 3;
        expect(codes).toBeGreaterThan(2000);
        // All twelve logits are floats, summed in another order.
        const different = (program?.mismatches ?? 0) - 12;
        if (types === "native") expect(different / codes).toBeLessThan(0.002);
        else if (bits < 8) expect(different).toBeLessThanOrEqual(0);
        else {
          // The integers add with multipliers of a few bits (exactSum in scaling.ts), this form with the quotients of the
          // scales, so that both mean the same real numbers: of 256 codes, a sum near the border of two can become the other.
          // Nothing else makes codes differ: the first that does is a sum's, and it is the next one.
          const sums = network.operations.filter(isSum);
          expect(different).toBeLessThanOrEqual(codes * 0.002);
          expect(program?.first?.layer).toBeOneOf(sums.map(({ output }) => network.tensors[output]?.name));
          expect(Math.abs((program?.first?.got ?? 0) - (program?.first?.simulated ?? 0))).toBe(1);
        }
        await runner.release();
      });
    }
  }
});
