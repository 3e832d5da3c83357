/** The input of the integer network: bytes and floats, normalized as in training. */
import { describe, expect, it } from "vitest";
import type { ImageInput } from "../../src/compile/build/input.ts";
import { convert } from "../../src/convert/convert.ts";
import { buildCProgram } from "../../src/convert/formats/c/program.ts";
import { containerOf } from "../../src/convert/formats/containers.ts";
import { buildIntGraph } from "../../src/convert/formats/int/int.ts";
import { onnxRunner } from "../../src/convert/formats/run-onnx.ts";
import { interpret } from "../../src/convert/interpreter/interpret.ts";
import { verify } from "../../src/convert/prove/verify.ts";
import { float32Tensor } from "../../src/ir/tensor.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { datasetOf } from "../support/convert/agreement.ts";
import { fullLayer } from "../support/convert/descriptions.ts";
import { type NetworkDescription, quantizedWith, randomNetwork } from "../support/convert/random/network.ts";
import { randomTensor, seeded } from "../support/random.ts";

const engine = nodeEngine({ threads: 1 });
const description: NetworkDescription = {
  channels: 2,
  height: 5,
  width: 4,
  seed: 3,
  head: "flatten",
  layers: [{ kind: "conv", channels: 3, ...fullLayer }],
};
const mean = [0.4, 0.6];
const deviation = [0.2, 0.5];

async function converted(input: ImageInput) {
  const data = randomTensor(seeded(1), [3, 2, 5, 4], { low: -2, high: 2 });
  const config = presetNamed("lsq", { weightBits: 4, activationBits: 4 });
  return convert(await quantizedWith(randomNetwork(description), config, data), { input });
}

/** The codes of the data. */
function firstCodes(network: Awaited<ReturnType<typeof converted>>, sample: ArrayLike<number>): number[] {
  return Array.from(interpret(network, sample)[network.operations[0]?.output ?? 0] ?? []);
}

describe("the data", () => {
  it("become the same codes as floats that are normalized, as bytes, and as floats that have been", async () => {
    const bytes = Uint8Array.from({ length: 40 }, (_, i) => (i * 37) % 256);
    const shares = Float32Array.from(bytes, (byte) => byte / 255);
    const normalized = shares.map(
      (share, i) => (share - (mean[i < 20 ? 0 : 1] ?? 0)) / (deviation[i < 20 ? 0 : 1] ?? 1),
    );
    const expected = firstCodes(await converted({ dtype: "float32" }), normalized);
    expect(new Set(expected).size).toBeGreaterThan(10);
    expect(firstCodes(await converted({ dtype: "float32", mean, deviation }), shares)).toEqual(expected);
    expect(firstCodes(await converted({ dtype: "uint8", mean, deviation }), bytes)).toEqual(expected);
  });

  it("that are floats to normalize agree in simulation, ONNX file and interpreter", async () => {
    const network = await converted({ dtype: "float32", mean, deviation });
    const numbers = Float32Array.from({ length: 5 * 40 }, (_, i) => ((i * 37) % 256) / 255);
    const dataset = datasetOf(float32Tensor([5, 2, 5, 4], numbers));
    const graph = buildIntGraph(network, { batchSize: 5, codes: true });
    const runner = await onnxRunner("int", network, graph, engine, ({ form, name }) => containerOf(form, name).offset);
    const { programs } = await verify(network, dataset, engine, { runners: [runner] });
    expect(programs.map(({ mismatches }) => mismatches)).toEqual([0, 0]);
    expect(buildCProgram(network).header).toContain("network_run(const float *data");
    expect(buildCProgram(network).source).toContain("factor_");
    await runner.release();
  });
});
