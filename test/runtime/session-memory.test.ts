/** What a session of a large step holds in memory. @slow */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { peakBytes } from "../../src/compile/memory.ts";
import { lowerGraph } from "../../src/compile/passes/lower.ts";
import { operators } from "../../src/compile/registry.ts";
import { filled, makeTensor } from "../../src/ir/tensor.ts";
import { makeModel } from "../../src/models/index.ts";
import { TrainingJob } from "../../src/runtime/job.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { StateBuffers } from "../../src/runtime/state.ts";
import { plainStep } from "../support/training/plain-step.ts";

const batchSize = 512;
const sampleShape = [1, 28, 28];

describe("the memory of a session", () => {
  it("does not grow after the first step", async () => {
    const network = makeModel("resnet8", { sampleShape, classes: 10 }, randomStream(0, "weights"));
    const step = plainStep(network, batchSize);
    const engine = nodeEngine({ threads: 2 });
    const planned = peakBytes(lowerGraph(step.graph, operators, await engine.target()));
    const job = await TrainingJob.create(engine, step);
    const state = new StateBuffers([]);
    job.prepare(state);
    const batch = {
      data: filled([batchSize, ...sampleShape], 0.5),
      targets: makeTensor("int32", [batchSize], new Int32Array(batchSize)),
    };
    const resident = async (steps: number): Promise<number> => {
      for (let i = 0; i < steps; i++) await job.run(state, batch, {});
      return process.memoryUsage.rss();
    };
    const first = await resident(1);
    const grown = (await resident(3)) - first;
    await job.release();
    expect(planned).toBeGreaterThan(200e6);
    // A plan of where every value lies, which the engine would make for itself, takes as much again as the values.
    expect(grown).toBeLessThan(planned / 3);
  });
});
