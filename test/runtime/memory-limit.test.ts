import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { makeModel } from "../../src/models/index.ts";
import { TrainingJob } from "../../src/runtime/job.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { plainStep } from "../support/training/plain-step.ts";

const network = makeModel("resnet8", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(0, "weights"));

function jobWith(batchSize: number, memoryLimit: number): Promise<TrainingJob> {
  const step = plainStep(network, batchSize);
  return TrainingJob.create(nodeEngine({ threads: 1 }), step, undefined, { memoryLimit });
}

describe("a training step and the memory that there is", () => {
  it("is refused before it is allocated, with a batch that fits", async () => {
    const refused = jobWith(4096, 1e9).catch((error: unknown) => error);
    const error = await refused;
    expect(String(error)).toMatch(/a batch of 4096 needs at least [\d.]+ GB of memory, 1.0 GB are free/);
    const remedy = error instanceof Error && "remedy" in error ? String(error.remedy) : "";
    const batch = Number(/a batch of at most (\d+)/.exec(remedy)?.[1]);
    expect(batch).toBeGreaterThanOrEqual(256);
    await (await jobWith(batch, 1e9)).release();
    await expect(jobWith(4 * batch, 1e9)).rejects.toThrow(/needs at least/);
  });

  it("says when nothing fits", async () => {
    const error = await jobWith(2, 1000).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ remedy: expect.stringContaining("Not even a batch of 1 fits") });
  });
});
