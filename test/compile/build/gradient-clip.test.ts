/** Clipping of gradients: PyTorch's trajectories, and the whole training step on networks of several kinds. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { clippingFactor } from "../../../src/compile/build/gradient-clip.ts";
import { optimizerFor } from "../../../src/compile/build/optimizer.ts";
import type { TrainingStep } from "../../../src/compile/build/training-step.ts";
import { newBuilder } from "../../../src/compile/registry.ts";
import { filled, float32Data, float32Scalar, float32Tensor, makeTensor, type Tensor } from "../../../src/ir/tensor.ts";
import { elementCount } from "../../../src/ir/types.ts";
import { multiply } from "../../../src/ops/families/elementwise.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { TrainingJob } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import vectors from "../../conformance/vectors/clipped-gradients.json" with { type: "json" };
import { runGraph } from "../../support/graphs/run-graph.ts";
import { configOf, decode, type TorchOptions } from "../../support/torch/optimizer-vectors.ts";
import { plainStep } from "../../support/training/plain-step.ts";
import { smallNetwork, smallState } from "../../support/training/small-training.ts";

/** A graph of one update of several parameters with one factor on their gradients. */
function clippedUpdates(trajectory: (typeof vectors.trajectories)[number]) {
  const options: TorchOptions = trajectory.options;
  const optimizer = optimizerFor(configOf(trajectory.optimizer, options));
  const builder = newBuilder(trajectory.name);
  const scalar = (name: string) => builder.input(name, { dtype: "float32", shape: [] });
  const scalars = Object.fromEntries(Object.keys(optimizer.scalars(1)).map((name) => [name, scalar(name)]));
  const learningRate = scalar("learning_rate");
  const types = trajectory.starts.map(({ shape }) => ({ dtype: "float32", shape }) as const);
  const gradients = types.map((type, i) => builder.input(`gradient.${i}`, type));
  const factor = clippingFactor(builder, gradients, trajectory.limit);
  builder.output("factor", factor);
  const start = new Map<string, Tensor>();
  for (const [i, type] of types.entries()) {
    const state = Object.fromEntries(
      Object.entries(optimizer.init(type)).map(([name, initial]) => {
        start.set(`${name}.${i}`, initial);
        return [name, builder.input(`${name}.${i}`, type)];
      }),
    );
    const gradient = gradients[i];
    const begin = trajectory.starts[i];
    if (gradient === undefined || begin === undefined) throw new Error("a gradient is missing");
    start.set(`parameter.${i}`, decode(begin));
    const result = optimizer.update(builder, {
      parameter: builder.input(`parameter.${i}`, type),
      gradient: multiply(builder, gradient, factor),
      state,
      learningRate,
      weightDecay: options.weight_decay ?? 0,
      scalars,
    });
    builder.output(`next.parameter.${i}`, result.parameter);
    for (const [name, value] of Object.entries(result.state)) builder.output(`next.${name}.${i}`, value);
  }
  return { graph: builder.finish(), optimizer, start };
}

describe("clipping follows torch.nn.utils.clip_grad_norm_ step by step", () => {
  it.each(vectors.trajectories.map((trajectory) => [trajectory.name, trajectory] as const))("%s", async (_, all) => {
    const { graph, optimizer, start } = clippedUpdates(all);
    let state = start;
    for (const [index, step] of all.steps.entries()) {
      const outputs = await runGraph(graph, {
        learning_rate: float32Scalar(all.options.lr),
        ...Object.fromEntries(
          Object.entries(optimizer.scalars(index + 1)).map(([name, value]) => [name, float32Scalar(value)]),
        ),
        ...Object.fromEntries(step.gradients.map((gradient, i) => [`gradient.${i}`, decode(gradient)])),
        ...Object.fromEntries(state),
      });
      const factor = float32Data(outputs.factor ?? filled([], Number.NaN))[0];
      const expected = Math.min(1, all.limit / (step.norm + 1e-6));
      expect(Math.abs((factor ?? 0) / expected - 1)).toBeLessThan(1e-6);
      state = new Map([...state].map(([name, value]) => [name, outputs[`next.${name}`] ?? value]));
      for (const [i, value] of step.values.entries()) {
        const torch = float32Data(decode(value));
        float32Data(state.get(`parameter.${i}`) ?? filled([], Number.NaN)).forEach((own, j) => {
          expect(Math.abs(own - (torch[j] ?? 0))).toBeLessThanOrEqual(4e-6 * Math.max(1, Math.abs(torch[j] ?? 0)));
        });
      }
    }
  });

  it("takes the norm over tensors of any shape", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = randomStream(seed, "clipping");
      const shapes = Array.from({ length: 1 + random.integerBelow(5) }, () =>
        Array.from({ length: random.integerBelow(5) }, () => 1 + random.integerBelow(6)),
      );
      const size = 10 ** (6 * random.uniform() - 3);
      const tensors = shapes.map((shape) =>
        float32Tensor(
          shape,
          Float32Array.from({ length: elementCount(shape) }, () => size * random.normal()),
        ),
      );
      const squares = tensors.flatMap((tensor) => [...float32Data(tensor)].map((value) => value ** 2));
      const norm = Math.sqrt(squares.reduce((sum, value) => sum + value, 0));
      const limit = norm * 10 ** (4 * random.uniform() - 2);
      const builder = newBuilder("clipping");
      const values = shapes.map((shape, i) => builder.input(`x.${i}`, { dtype: "float32", shape }));
      builder.output("factor", clippingFactor(builder, values, limit));
      const feeds = Object.fromEntries(tensors.map((tensor, i) => [`x.${i}`, tensor]));
      const { factor = filled([], Number.NaN) } = await runGraph(builder.finish(), feeds);
      const expected = Math.min(1, limit / (norm + 1e-6));
      expect(Math.abs((float32Data(factor)[0] ?? 0) / expected - 1)).toBeLessThan(2e-6);
    }
  });

  it("leaves gradients of 0 as they are", async () => {
    const builder = newBuilder("clipping");
    const gradient = builder.input("x", { dtype: "float32", shape: [3] });
    builder.output("y", multiply(builder, gradient, clippingFactor(builder, [gradient], 1)));
    const { y = filled([], Number.NaN) } = await runGraph(builder.finish(), { x: filled([3], 0) });
    expect([...float32Data(y)]).toEqual([0, 0, 0]);
  });
});

const engine = nodeEngine({ threads: 1 });
const rate = 0.5;
const batchSize = 8;

/** How far one step of plain SGD moves each trained parameter, divided by the rate: its gradient. */
async function gradientsOf(step: TrainingStep, target: "cpu" | "generic"): Promise<Map<string, Float32Array>> {
  const job = await TrainingJob.create(engine, step, target === "generic" ? genericTarget : await engine.target());
  const state = smallState(job);
  const before = new Map(state.names.map((name) => [name, float32Data(state.get(name)).slice()]));
  const random = randomStream(4, "batch");
  const batch = {
    data: makeTensor(
      "float32",
      [batchSize, 1, 8, 8],
      Float32Array.from({ length: batchSize * 64 }, () => random.normal()),
    ),
    targets: makeTensor(
      "int32",
      [batchSize],
      Int32Array.from({ length: batchSize }, () => random.integerBelow(4)),
    ),
  };
  const rates = Object.fromEntries(["weights", "normalization", "quantizers"].map((g) => [`learning_rate.${g}`, rate]));
  await job.run(state, batch, rates);
  await job.release();
  const trained = new Set(
    [...before.keys()].filter((name) =>
      before.get(name)?.some((value, i) => value !== float32Data(state.get(name))[i]),
    ),
  );
  return new Map(
    [...trained].map((name) => {
      const after = float32Data(state.get(name));
      return [name, (before.get(name) ?? new Float32Array(0)).map((value, i) => (value - (after[i] ?? 0)) / rate)];
    }),
  );
}

describe("a training step with a limit", () => {
  const sgd = { name: "sgd", momentum: 0, nesterov: false } as const;
  const weightDecay = { weights: 0, normalization: 0, quantizers: 0 };

  it.each([
    ["float", "cpu"],
    ["float", "generic"],
    ["lsq", "cpu"],
    ["lsq", "generic"],
  ] as const)("multiplies all gradients by one factor (%s, %s)", async (preset, target) => {
    const network = smallNetwork(preset);
    const options = { optimizer: sgd, weightDecay };
    const names = network.parameters.filter(({ trainable }) => trainable).map(({ name }) => name);
    const plain = await gradientsOf(plainStep(network, batchSize, options), target);
    const squares = names.flatMap((name) => [...(plain.get(name) ?? [])].map((value) => value ** 2));
    const norm = Math.sqrt(squares.reduce((sum, value) => sum + value, 0));
    expect(norm).toBeGreaterThan(0.1);
    for (const limit of [norm / 7, 3 * norm]) {
      const clipped = await gradientsOf(plainStep(network, batchSize, { ...options, gradientClip: limit }), target);
      const factor = Math.min(1, limit / (norm + 1e-6));
      for (const name of names) {
        const whole = plain.get(name) ?? [];
        clipped.get(name)?.forEach((value, i) => {
          expect(Math.abs(value - factor * (whole[i] ?? 0))).toBeLessThan(2e-6 * Math.max(1, norm));
        });
      }
    }
  });

  it("adds the decay after the limit, as torch's optimizers do", async () => {
    const network = smallNetwork("float");
    const decay = { ...weightDecay, weights: 0.1 };
    const of = (options: object) => gradientsOf(plainStep(network, batchSize, { optimizer: sgd, ...options }), "cpu");
    const without = await of({ weightDecay, gradientClip: 1e-9 });
    const decayed = await of({ weightDecay: decay, gradientClip: 1e-9 });
    const weight = network.parameters.find(({ role }) => role === "weight");
    const value = weight === undefined ? new Float32Array(0) : float32Data(weight.value);
    const moved = decayed.get(weight?.name ?? "");
    expect(moved?.length).toBe(value.length);
    moved?.forEach((gradient, i) => {
      const still = without.get(weight?.name ?? "")?.[i] ?? 0;
      expect(Math.abs(gradient - still - 0.1 * (value[i] ?? 0))).toBeLessThan(1e-6);
    });
  });

  it("needs a limit: without one the update has no smallest of two numbers", () => {
    const network = smallNetwork("lsq");
    const minima = ({ graph }: TrainingStep) =>
      graph.nodes.filter(({ op, origin }) => op === "Min" && origin?.phase === "update");
    expect(minima(plainStep(network, batchSize))).toHaveLength(0);
    expect(minima(plainStep(network, batchSize, { gradientClip: 1 }))).toHaveLength(1);
  });
});
