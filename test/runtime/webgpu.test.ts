/** Training on WebGPU, in software: the CPU's losses, nothing left to the CPU, and the state back when it is wanted. @slow */

import { InferenceSession } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { GraphError } from "../../src/errors.ts";
import { float32Data } from "../../src/ir/tensor.ts";
import { makeModel } from "../../src/models/index.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { emit, TrainingJob } from "../../src/runtime/job.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { noSoftwareVulkan, softwareVulkan, useSoftwareVulkan } from "../support/machine/software-vulkan.ts";
import {
  learningRates,
  lossesOn,
  smallBatch,
  smallNetwork,
  smallState,
  smallStep,
} from "../support/training/small-training.ts";

useSoftwareVulkan();
const cpu = nodeEngine({ threads: 1 });
const gpu = nodeEngine({ device: "webgpu", threads: 1 });

describe("training on WebGPU", () => {
  it("rounds as float32 should, so that nothing has to leave the device", async ({ skip }) => {
    skip(softwareVulkan === undefined, noSoftwareVulkan);
    expect((await gpu.target()).lacks).toContain("Round");
  });

  it.for(["lsq", "minmax"] as const)("gives the CPU's losses at W4A4 (%s)", async (preset, { skip }) => {
    skip(softwareVulkan === undefined, noSoftwareVulkan);
    const step = smallStep(smallNetwork(preset));
    const [expected, actual] = [await lossesOn(cpu, step, 12), await lossesOn(gpu, step, 12)];
    actual.forEach((loss, i) => {
      expect(Math.abs(loss - (expected[i] ?? Number.NaN)), `step ${i + 1}: ${loss} and ${expected[i]}`).toBeLessThan(
        1e-3,
      );
    });
    expect(actual.at(-1)).toBeLessThan((actual[0] ?? 0) / 1.5);
  });

  it("keeps the state on the device, and gives it back for another engine to resume from", async ({ skip }) => {
    skip(softwareVulkan === undefined, noSoftwareVulkan);
    const step = smallStep(smallNetwork("lsq"));
    const expected = await lossesOn(cpu, step, 6);
    const job = await TrainingJob.create(gpu, step);
    const state = smallState(job);
    const batch = smallBatch();
    for (let i = 0; i < 3; i++) await job.run(state, batch, learningRates);
    expect(() => state.get("conv1.weight")).toThrow(GraphError);
    expect(() => state.snapshot()).toThrow(/lies on the device/);
    await state.toHost();
    const early = float32Data(state.get("conv1.weight")).slice();
    await job.run(state, batch, learningRates);
    await job.release();
    expect(state.isOnDevice("conv1.weight")).toBe(false);
    expect(float32Data(state.get("conv1.weight"))).not.toEqual(early);

    const other = await TrainingJob.create(cpu, step);
    for (let i = 4; i < 6; i++) {
      const { loss } = await other.run(state, batch, learningRates);
      expect(Math.abs(loss - (expected[i] ?? Number.NaN))).toBeLessThan(1e-3);
    }
    await other.release();
  });

  it.for(["resnet8", "lenet"] as const)("leaves no node of %s at W4A4 to the CPU", async (model, { skip }) => {
    skip(softwareVulkan === undefined, noSoftwareVulkan);
    const float = makeModel(model, { sampleShape: [1, 16, 16], classes: 4, width: 8 }, randomStream(1, "weights"));
    const target = await gpu.target();
    for (const preset of ["lsq", "minmax"]) {
      const network = quantize(float, presetNamed(preset, { weightBits: 4, activationBits: 4 }));
      const options = {
        executionProviders: ["webgpu"],
        logSeverityLevel: 4,
        extra: { session: { disable_cpu_ep_fallback: "1" } },
      } as const;
      const session = InferenceSession.create(emit(smallStep(network).graph, target), options);
      await expect(session, preset).resolves.toBeDefined();
      await (await session).release();
    }
  });
});
