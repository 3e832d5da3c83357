import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { peakBytes } from "../../../src/compile/memory.ts";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { recomputeCheap } from "../../../src/compile/passes/recompute.ts";
import { inferTypes, newBuilder, operators } from "../../../src/compile/registry.ts";
import type { Value } from "../../../src/ir/graph.ts";
import { makeTensor } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { TrainingJob, type TrainingJobOptions } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { profiled } from "../../../src/runtime/node/profile.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";
import { verifyGraph } from "../../support/graphs/verify.ts";
import { plainStep } from "../../support/training/plain-step.ts";

const batchSize = 32;
const sampleShape = [1, 28, 28];

function stepOf(preset: string) {
  const float = makeModel("resnet8", { sampleShape, classes: 10 }, randomStream(0, "weights"));
  return plainStep(quantize(float, presetNamed(preset, { weightBits: 4, activationBits: 4 })), batchSize, {
    input: { dtype: "uint8", mean: [0.5], deviation: [0.25] },
  });
}

const random = randomStream(1, "batch");
const batch = {
  data: makeTensor(
    "uint8",
    [batchSize, ...sampleShape],
    Uint8Array.from({ length: batchSize * 28 * 28 }, () => random.integerBelow(256)),
  ),
  targets: makeTensor(
    "int32",
    [batchSize],
    Int32Array.from({ length: batchSize }, () => random.integerBelow(10)),
  ),
};

async function stateAfter(steps: number, preset: string, options: TrainingJobOptions) {
  const job = await TrainingJob.create(nodeEngine({ threads: 1 }), stepOf(preset), undefined, options);
  const state = new StateBuffers([]);
  job.prepare(state);
  for (let i = 0; i < steps; i++) await job.run(state, batch, { "learning_rate.weights": 0.05 });
  await job.release();
  return state.snapshot();
}

describe("recomputation", () => {
  it("holds what is dear, and repeats what is cheap from what is held", () => {
    const builder = newBuilder("step");
    const x = builder.input("x", { dtype: "float32", shape: [1000, 1000] });
    const pairs: (readonly [Value, Value])[] = [];
    let value = x;
    for (let i = 0; i < 4; i++) {
      const dear = builder.one("Exp", [value]);
      const cheap = builder.one("Relu", [dear]);
      pairs.push([dear, cheap]);
      value = builder.one("Exp", [cheap]);
    }
    for (const [dear, cheap] of pairs.reverse()) {
      value = builder.from({ origin: { phase: "backward" } }, () =>
        builder.one("Mul", [builder.one("Mul", [value, cheap]), dear]),
      );
    }
    builder.output("y", value);
    const graph = builder.finish();
    const less = recomputeCheap(graph);
    verifyGraph(less, inferTypes);
    expect(less.nodes.map(({ name }) => name).filter((name) => name.endsWith("/recomputed"))).toHaveLength(4);
    expect(peakBytes(less)).toBeLessThan(peakBytes(graph));
  });

  it.each(["minmax", "lsq"])("needs less memory and gives the same bits (%s)", async (preset) => {
    const target = await nodeEngine({ threads: 1 }).target();
    const lowered = lowerGraph(stepOf(preset).graph, operators, target);
    const less = recomputeCheap(lowered);
    verifyGraph(less, inferTypes);
    expect(peakBytes(less)).toBeLessThan(0.8 * peakBytes(lowered));
    const [held, repeated] = [
      await stateAfter(3, preset, { recompute: "never" }),
      await stateAfter(3, preset, { recompute: "always" }),
    ];
    expect([...repeated.keys()]).toEqual([...held.keys()]);
    for (const [name, tensor] of held) expect(repeated.get(name)?.data, name).toEqual(tensor.data);
  });

  it("is left to the engine as it stands", async () => {
    // The first session is the one that is profiled: it must not be the probe for the target.
    const target = await nodeEngine({ threads: 1 }).target();
    const runs = await profiled({ threads: 1 }, async (engine) => {
      const job = await TrainingJob.create(engine, stepOf("minmax"), target, { recompute: "always" });
      const state = new StateBuffers([]);
      job.prepare(state);
      await job.run(state, batch, {});
      await job.release();
    });
    const names = runs.flatMap(({ nodes }) => nodes.map(({ name }) => name));
    expect(names.some((name) => name.endsWith("/recomputed"))).toBe(true);
  });

  it("comes by itself where a step would not fit", async () => {
    const step = stepOf("minmax");
    const engine = nodeEngine({ threads: 1 });
    const lowered = lowerGraph(step.graph, operators, await engine.target());
    const memoryLimit = (peakBytes(lowered) + peakBytes(recomputeCheap(lowered))) / 2;
    await (await TrainingJob.create(engine, step, undefined, { memoryLimit })).release();
    await expect(TrainingJob.create(engine, step, undefined, { memoryLimit, recompute: "never" })).rejects.toThrow(
      /needs at least/,
    );
  });
});
