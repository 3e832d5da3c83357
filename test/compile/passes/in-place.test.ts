import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { dampeningInput, type OscillationConfig, thresholdInput } from "../../../src/compile/build/oscillation.ts";
import { peakBytes } from "../../../src/compile/memory.ts";
import { DataFlow, largeUpdates, type Update, updatesInPlace } from "../../../src/compile/passes/in-place.ts";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { orderUpdates } from "../../../src/compile/passes/order-updates.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { inferTypes, newBuilder, operators } from "../../../src/compile/registry.ts";
import type { GraphBuilder, Value } from "../../../src/ir/graph.ts";
import { filled, float32Data, makeTensor, type Tensor } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { TrainingJob, type TrainingJobOptions } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { profiled } from "../../../src/runtime/node/profile.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";
import { verifyGraph } from "../../support/graphs/verify.ts";
import { plainStep } from "../../support/training/plain-step.ts";

const square = { dtype: "float32", shape: [100, 100] } as const;
const namesOf = (updates: readonly Update[]) => updates.map(({ present }) => present.name);

/** The updates in place of a graph with the state `w`, a gradient and a learning rate. */
function inPlaceOf(build: (builder: GraphBuilder, w: Value, gradient: Value, rate: Value) => void): string[] {
  const builder = newBuilder("step");
  const w = builder.input("w", square);
  const gradient = builder.input("gradient", square);
  build(builder, w, gradient, builder.input("rate", { dtype: "float32", shape: [] }));
  return namesOf(updatesInPlace(builder.finish()));
}

describe("updates in place", () => {
  it("are those whose other consumers come before", () => {
    const names = inPlaceOf((builder, w, gradient) => {
      const product = builder.one("MatMul", [w, gradient]);
      builder.output("next.w", builder.one("Sub", [w, product]));
    });
    expect(names).toEqual(["w"]);
  });

  it("are none where somebody may read later", () => {
    const names = inPlaceOf((builder, w, gradient) => {
      builder.output("other", builder.one("MatMul", [w, gradient]));
      builder.output("next.w", builder.one("Sub", [w, gradient]));
    });
    expect(names).toEqual([]);
  });

  it("are none where somebody may read a view later", () => {
    const names = inPlaceOf((builder, w, gradient) => {
      const shape = builder.constant(makeTensor("int64", [1], BigInt64Array.of(10_000n)));
      builder.output("other", builder.one("Exp", [builder.one("Reshape", [w, shape])]));
      builder.output("next.w", builder.one("Sub", [w, gradient]));
    });
    expect(names).toEqual([]);
  });

  it("are none where elements of the output need other elements", () => {
    const names = inPlaceOf((builder, w, gradient) => {
      builder.output("next.w", builder.one("MatMul", [w, gradient]));
    });
    expect(names).toEqual([]);
  });

  it("are none where the next value is another output too", () => {
    const names = inPlaceOf((builder, w, gradient) => {
      const next = builder.one("Sub", [w, gradient]);
      builder.output("next.w", next);
      builder.output("shown", next);
    });
    expect(names).toEqual([]);
  });

  it("take no memory besides the state", () => {
    const builder = newBuilder("step");
    const w = builder.input("w", square);
    const next = builder.one("Sub", [w, builder.input("gradient", square)]);
    builder.output("next.w", next);
    const graph = builder.finish();
    expect(peakBytes(graph)).toBe(3 * 40_000);
    expect(peakBytes(graph, new Set([next]))).toBe(2 * 40_000);
  });
});

/** A perceptron whose first two weights are large enough to be put into an order. */
function stepOf(preset: string, extra: Pick<StepVariant, "oscillation"> = {}) {
  const float = makeModel("mlp", { sampleShape: [1, 28, 28], classes: 10, width: 320 }, randomStream(0, "weights"));
  if (preset === "float") return plainStep(float, batchSize);
  return plainStep(quantize(float, presetNamed(preset, { weightBits: 4, activationBits: 4 })), batchSize, extra);
}

const batchSize = 4;
const engine = nodeEngine({ threads: 2 });
const random = randomStream(1, "batches");
const batches = Array.from({ length: 3 }, () => ({
  data: makeTensor(
    "float32",
    [batchSize, 1, 28, 28],
    Float32Array.from({ length: batchSize * 784 }, () => random.integerBelow(256) / 64 - 2),
  ),
  targets: makeTensor(
    "int32",
    [batchSize],
    Int32Array.from({ length: batchSize }, () => random.integerBelow(10)),
  ),
}));

interface StepVariant {
  readonly oscillation?: OscillationConfig;
  readonly scalars?: Readonly<Record<string, number>>;
}

async function stateAfter(preset: string, options: TrainingJobOptions, variant: StepVariant = {}) {
  const { scalars = { "learning_rate.weights": 0.05 }, ...rest } = variant;
  const job = await TrainingJob.create(engine, stepOf(preset, rest), undefined, options);
  const state = new StateBuffers([]);
  job.prepare(state);
  for (const batch of [...batches, ...batches]) await job.run(state, batch, scalars);
  await job.release();
  return { state: state.snapshot(), plannedBytes: job.plannedBytes };
}

/** Names of tensors that differ in a bit; comparing arrays element by element would take seconds. */
function differing(a: ReadonlyMap<string, Tensor>, b: ReadonlyMap<string, Tensor>): string[] {
  const bytes = (tensor: Tensor | undefined) => Buffer.from(float32Data(tensor ?? filled([], 0)).buffer);
  return [...b].flatMap(([name, tensor]) => (bytes(a.get(name)).equals(bytes(tensor)) ? [] : [name]));
}

describe("updates in an order", () => {
  it("wait for consumers that are still to come", async () => {
    const { graph } = stepOf("lsq");
    const lowered = lowerGraph(graph, operators, await engine.target());
    const before = namesOf(updatesInPlace(lowered));
    const ordered = orderUpdates(lowered);
    verifyGraph(ordered, inferTypes);
    const weights = ["fc1.weight", "fc2.weight"];
    for (const name of weights) expect(before).not.toContain(name);
    expect(namesOf(updatesInPlace(ordered))).toEqual(expect.arrayContaining(weights));
  });

  it("wait in the engine too", async () => {
    const target = await engine.target();
    const runs = await profiled({ threads: 1 }, async (profiling) => {
      const job = await TrainingJob.create(profiling, stepOf("lsq"), target);
      const state = new StateBuffers([]);
      job.prepare(state);
      for (const batch of batches.slice(0, 1)) await job.run(state, batch, {});
      await job.release();
    });
    const order = runs.flatMap(({ nodes }) => nodes.map(({ name }) => name));
    const lowered = lowerGraph(stepOf("lsq").graph, operators, target);
    const flow = new DataFlow(lowered);
    const late = largeUpdates(lowered, flow).filter((update) => (flow.hazardsOf(update) ?? []).length > 0);
    expect(namesOf(late)).toEqual(expect.arrayContaining(["fc1.weight", "fc2.weight"]));
    for (const update of late.filter(({ present }) => /^fc[12]/.test(present.name))) {
      const writer = order.indexOf(flow.producerOf(update.next)?.name ?? "");
      for (const { name } of flow.consumersOf(update.present)) {
        expect(order, name).toContain(name);
        expect(order.lastIndexOf(name), name).toBeLessThanOrEqual(writer);
      }
    }
  });

  it.each(["float", "minmax", "lsq", "pact", "n2uq"])("give the same bits as two buffers (%s)", async (preset) => {
    const own = await stateAfter(preset, { inPlace: true });
    const two = await stateAfter(preset, { inPlace: false });
    expect(own.plannedBytes).toBeLessThan(two.plannedBytes);
    expect([...own.state.keys()]).toEqual([...two.state.keys()]);
    expect(differing(own.state, two.state)).toEqual([]);
  });

  it("give the same bits where oscillating weights are frozen", async () => {
    const oscillation = { dampen: true, freeze: true, momentum: 0.5 };
    const scalars = { "learning_rate.weights": 0.05, [dampeningInput]: 0.01, [thresholdInput]: 0.2 };
    const own = await stateAfter("lsq", { inPlace: true }, { oscillation, scalars });
    const two = await stateAfter("lsq", { inPlace: false }, { oscillation, scalars });
    expect([...own.state.keys()]).toContain("oscillation.fc1.weight.frozen");
    expect(differing(own.state, two.state)).toEqual([]);
  });

  it("give the same bits where cheap values are computed again", async () => {
    const own = await stateAfter("lsq", { inPlace: true, recompute: "always" });
    const two = await stateAfter("lsq", { inPlace: false, recompute: "always" });
    expect(differing(own.state, two.state)).toEqual([]);
  });
});
