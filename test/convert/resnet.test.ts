/** Whole networks: what was converted agrees with itself in every code; a ResNet-20 also with the training simulation. @slow */
import { describe, expect, it } from "vitest";
import { buildEvaluation } from "../../src/compile/build/evaluation.ts";
import { convert } from "../../src/convert/convert.ts";
import type { IntegerNetwork } from "../../src/convert/integer-network.ts";
import { buildIntegerExactEvaluation } from "../../src/convert/prove/exact-evaluation.ts";
import { withParameterValues } from "../../src/ir/network.ts";
import { float32Data, float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import { makeModel } from "../../src/models/index.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { ForwardJob } from "../../src/runtime/job.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { StateBuffers } from "../../src/runtime/state.ts";
import { provenOn } from "../support/convert/agreement.ts";
import { quantizedWith, withRandomValues } from "../support/convert/random/network.ts";
import { randomTensor, seeded } from "../support/random.ts";

const engine = nodeEngine({ threads: 1 });
const sampleShape = [3, 16, 16];
const samples = 4;

async function trained(model: string, preset: string, bits: number, residualBits: number | null) {
  const random = seeded(bits);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const float = makeModel(model, { sampleShape, classes: 10, width: 8 }, { uniform: random, normal });
  const data = randomTensor(seeded(7), [samples, ...sampleShape], { low: -2, high: 2 });
  const base = presetNamed(preset, { weightBits: bits, activationBits: bits });
  // The papers' first and last layers in float would have no integers.
  const ends = base.firstLayer === "float" ? ({ firstLayer: "same", lastLayer: "same" } as const) : {};
  const config = preset === "thread" ? base : { ...base, ...ends, residualBits };
  const initial = await quantizedWith(withRandomValues(float, random), config, data);
  // Training moves the offsets of LSQ+; those that start with a ReLU start with 0.
  const values = initial.parameters.map(({ name, value }): [string, Tensor] => [
    name,
    name.endsWith(".offset") ? float32Tensor(value.shape, [(float32Data(value)[0] ?? 0) - 0.2]) : value,
  ]);
  const network = { ...withParameterValues(initial, new Map(values)), sites: initial.sites };
  return { network, data, converted: convert(network, { input: { dtype: "float32" } }) };
}

/** Every code of the simulation, of ONNX Runtime and, for one sample, of the interpreter. */
async function expectAgreement(converted: IntegerNetwork, data: Tensor): Promise<void> {
  const result = await provenOn(converted, data, engine, 1);
  expect(result.programs.map(({ mismatches, first }) => [mismatches, first])).toEqual([
    [0, undefined],
    [0, undefined],
  ]);
  expect(result.programs[0]?.layers).toBeGreaterThan(20);
}

describe("a converted ResNet-20", () => {
  for (const [preset, bits, residualBits] of [
    ["lsq", 8, 8],
    ["lsq", 4, 8],
    ["lsq", 4, null],
    ["lsq", 2, 8],
    ["lsq+", 8, 8],
    ["lsq+", 4, null],
    ["minmax", 4, 8],
    ["thread", 5, null],
  ] as const) {
    it(`agrees in every code, and with the simulation: ${preset} W${bits}A${bits}, residual ${residualBits}`, async () => {
      const { network, data, converted } = await trained("resnet20", preset, bits, residualBits);
      await expectAgreement(converted, data);

      const evaluation = buildEvaluation(network, { batchSize: samples, input: { dtype: "float32" } });
      const exact = buildIntegerExactEvaluation(converted, { batchSize: samples });
      const [a, b] = await Promise.all(
        [evaluation, exact].map(async (job) => {
          const ready = await ForwardJob.create(engine, job);
          const state = new StateBuffers(job.state.map(({ name, initial }) => [name, initial] as const));
          return float32Data(Object.values(await ready.run(state, data))[0] ?? data);
        }),
      );
      let error = 0;
      let power = 0;
      a?.forEach((value, i) => {
        error += (value - (b?.[i] ?? 0)) ** 2;
        power += value ** 2;
      });
      console.log(preset, bits, residualBits, "relative error of the logits", Math.sqrt(error / power));
      // Codes on a border fall to the other side and are carried on, above all where steps are coarse. With the offsets of LSQ+
      // few do here, so that a border without its own sum is seen: it leaves 0.04 and more.
      expect(Math.sqrt(error / power)).toBeLessThan(preset === "lsq+" ? 0.01 : 0.2);
    });
  }
});

describe("a converted MobileNetV2", () => {
  it.each([
    ["lsq", 8, 8],
    ["lsq", 4, 8],
    ["lsq+", 4, 8],
    ["thread", 4, null],
    ["pact", 3, null],
    ["dorefa", 4, 8],
    // Sums that end in ties: codes from -127 on, and zero points of a whole byte that are odd.
    ["apot", 2, 8],
    ["minmax", 8, 8],
  ] as const)("agrees in every code: %s, %i bits, residual %s", async (preset, bits, residualBits) => {
    const { data, converted } = await trained("mobilenetv2", preset, bits, residualBits);
    await expectAgreement(converted, data);
  });
});
