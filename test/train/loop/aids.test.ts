import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { distillationLoss } from "../../../src/compile/build/distillation.ts";
import { dampeningGradient, freezeOscillating, oscillationState } from "../../../src/compile/build/oscillation.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { newBuilder } from "../../../src/compile/registry.ts";
import { InterruptedError } from "../../../src/errors.ts";
import { float32Data, float32Scalar, float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import type { QuantizerSpec } from "../../../src/quantizers/definition.ts";
import { readMetrics } from "../../../src/runs/metrics-log.ts";
import {
  dampeningAt,
  modeOfEpoch,
  notesOnOscillation,
  scaleWarmupAt,
  thresholdAt,
} from "../../../src/train/loop/phases.ts";
import { resumeRun, startRun } from "../../../src/train/run.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";
import { temporaryFolder, tensorBytes, tinyConfig } from "../../support/training/tiny-run.ts";

const spec: QuantizerSpec = { quantizer: "lsq", bits: 3, quantMin: -4, quantMax: 3, options: {} };
const vector = { dtype: "float32", shape: [4] } as const;
const scalar = { dtype: "float32", shape: [] } as const;

describe("dampening", () => {
  it("adds twice the distance to the middle of the bin, and nothing outside of the range", async () => {
    const builder = newBuilder("dampening");
    const quantized = {
      spec,
      weight: builder.input("weight", vector),
      grid: { scale: builder.input("scale", scalar) },
    };
    builder.output("gradient", dampeningGradient(builder, quantized, builder.input("strength", scalar)));
    const { gradient } = await runGraph(builder.finish(), {
      weight: float32Tensor([4], [0.3, -0.7, 5, -9]),
      scale: float32Scalar(0.5),
      strength: float32Scalar(0.25),
    });
    // 0.3 lies 0.2 below code 1 (0.5), −0.7 lies 0.2 below code −1; 5 and −9 lie outside of −2..1.5.
    const expected = [-0.1, -0.1, 0, 0];
    if (gradient === undefined) throw new Error("no gradient");
    for (const [i, value] of float32Data(gradient).entries()) expect(value).toBeCloseTo(expected[i] ?? 0, 6);
  });
});

/** Algorithm 1 of arXiv 2203.11086 for one weight, in plain numbers. */
function scalarFreezing(weights: readonly number[], scale: number, threshold: number, momentum: number) {
  let code = 0;
  let direction = 0;
  let frequency = 0;
  let average = 0;
  let frozen = false;
  return weights.map((weight, step) => {
    const now = Math.min(3, Math.max(-4, Math.fround(roundHalfEven(Math.fround(weight / scale)))));
    if (step === 0) {
      code = now;
      average = now;
    }
    const change = now - code;
    const turned = change !== 0 && Math.sign(change) === -direction ? 1 : 0;
    frequency = momentum * turned + (1 - momentum) * frequency;
    if (change !== 0) direction = Math.sign(change);
    if (!frozen && step > 0) average = momentum * now + (1 - momentum) * average;
    code = now;
    frozen ||= frequency > threshold;
    return frozen ? roundHalfEven(average) * scale : weight;
  });
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor === 0.5) return floor % 2 === 0 ? floor : floor + 1;
  return Math.round(value);
}

describe("freezing", () => {
  it("follows algorithm 1 on random trajectories", async () => {
    const builder = newBuilder("freezing");
    const quantized = {
      spec,
      weight: builder.input("weight", vector),
      grid: { scale: builder.input("scale", scalar) },
    };
    const initial = oscillationState([4]);
    const names = Object.keys(initial);
    const inputs = Object.fromEntries(
      Object.entries(initial).map(([name, { dtype, shape }]) => [name, builder.input(name, { dtype, shape })]),
    );
    const result = freezeOscillating(builder, quantized, inputs, builder.input("threshold", scalar), 0.25);
    builder.output("next", result.weight);
    for (const name of names) {
      const value = result.state[name];
      if (value !== undefined) builder.output(`next.${name}`, value);
    }
    const graph = builder.finish();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.float({ min: -3, max: 3, noNaN: true }), { minLength: 4, maxLength: 4 }), {
          minLength: 6,
          maxLength: 6,
        }),
        async (steps) => {
          const expected = [0, 1, 2, 3].map((i) =>
            scalarFreezing(
              steps.map((step) => step[i] ?? 0),
              0.5,
              0.4,
              0.25,
            ),
          );
          let state: Record<string, Tensor> = { ...initial };
          for (const [step, weights] of steps.entries()) {
            const outputs = await runGraph(graph, {
              weight: float32Tensor([4], weights),
              scale: float32Scalar(0.5),
              threshold: float32Scalar(0.4),
              ...state,
            });
            const next = outputs.next;
            if (next === undefined) throw new Error("no weight");
            for (const [i, value] of float32Data(next).entries())
              expect(value).toBeCloseTo(expected[i]?.[step] ?? 0, 5);
            state = Object.fromEntries(names.map((name) => [name, outputs[`next.${name}`] ?? float32Scalar(0)]));
          }
        },
      ),
      { seed: 3, numRuns: 25 },
    );
  });
});

describe("distillation", () => {
  it("is zero where student and teacher agree, and T²·KL elsewhere", async () => {
    const builder = newBuilder("distillation");
    const type = { dtype: "float32", shape: [1, 2] } as const;
    const student = builder.input("student", type);
    builder.output("loss", distillationLoss(builder, student, builder.input("teacher", type), 2));
    const graph = builder.finish();
    const loss = async (a: number[], b: number[]) => {
      const outputs = await runGraph(graph, { student: float32Tensor([1, 2], a), teacher: float32Tensor([1, 2], b) });
      return outputs.loss === undefined ? Number.NaN : (float32Data(outputs.loss)[0] ?? Number.NaN);
    };
    expect(await loss([1, 3], [1, 3])).toBeCloseTo(0, 6);
    const p = 1 / (1 + Math.exp(-1));
    const kl = p * Math.log(p / 0.5) + (1 - p) * Math.log((1 - p) / 0.5);
    expect(await loss([0, 0], [2, 0])).toBeCloseTo(4 * kl, 5);
  });
});

describe("schedules of the aids", () => {
  it("rise and fall along half a cosine", () => {
    const dampening = { fromEpoch: 2, untilEpoch: 6, strength: 0.1 };
    expect(dampeningAt(dampening, 2, 10)).toBeCloseTo(0, 12);
    expect(dampeningAt(dampening, 4, 10)).toBeCloseTo(0.05, 12);
    expect(dampeningAt(dampening, 6, 10)).toBeCloseTo(0.1, 12);
    const freezing = { fromEpoch: 0, startThreshold: 0.1, endThreshold: 0.02 };
    expect([0, 5, 10].map((at) => thresholdAt(freezing, at, 10))).toEqual([0.1, expect.closeTo(0.06, 12), 0.02]);
    expect([0, 0.5, 1, 3].map((at) => scaleWarmupAt({ scaleWarmupEpochs: 1 }, at))).toEqual([0, 0.5, 1, 1]);
  });

  it("switch quantizers on by kind and epoch", () => {
    const float = makeModel("lenet", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(0, "weights"));
    const network = quantize(float, presetNamed("lsq", { weightBits: 4, activationBits: 4 }));
    const options = { quantizeWeightsFromEpoch: 1, quantizeActivationsFromEpoch: 2, freezeObserversAfterEpoch: 1 };
    const counts = [0, 1, 2].map((epoch) => modeOfEpoch(options, network, epoch).bypass?.length ?? 0);
    expect(counts).toEqual([10, 5, 0]);
    expect([0, 1].map((epoch) => modeOfEpoch(options, network, epoch).observe)).toEqual([true, false]);
  });
});

describe("dampening and freezing", () => {
  const float = makeModel("lenet", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(0, "weights"));
  const bits = { weightBits: 4, activationBits: 4 };
  const dampening = { fromEpoch: 0, strength: 0.1 };

  it("say nothing where every weight has an even grid", () => {
    for (const preset of ["lsq", "lsq+", "minmax", "tqt", "ewgs", "thread"]) {
      expect(notesOnOscillation({ dampening }, quantize(float, presetNamed(preset, bits)))).toEqual([]);
    }
  });

  it("name the weights that they leave alone", () => {
    const base = presetNamed("apot", bits);
    const edge = { layer: "fc1", weight: { quantizer: "lsq", bits: 8, options: {} } };
    const network = quantize(float, { ...base, overrides: [edge] });
    expect(notesOnOscillation({ dampening }, network)).toEqual([
      "dampening leaves 4 of 5 weights alone: apot has no even grid of codes",
    ]);
    expect(notesOnOscillation({}, network)).toEqual([]);
  });

  it("are refused where there is no weight that they act on", () => {
    for (const preset of ["dorefa", "apot", "n2uq", "binary", "fp4"]) {
      const network = quantize(float, presetNamed(preset, bits));
      const freezing = { fromEpoch: 0, startThreshold: 0.1, endThreshold: 0.02 };
      expect(() => notesOnOscillation({ dampening, freezing }, network), preset).toThrow(
        expect.objectContaining({ where: "quantization.dampening, quantization.freezing", exitCode: 2 }),
      );
    }
  });
});

describe("a run with every aid", () => {
  const config = (overrides: object = {}) =>
    tinyConfig({
      train: {
        epochs: 4,
        batchSize: 32,
        optimizer: { learningRate: 0.02, gradientClip: 0.5 },
        distillation: { weight: 0.5, temperature: 3, fromEpoch: 1 },
        reestimateBatchNormBatches: 4,
      },
      quantization: {
        preset: "lsq",
        weightBits: 3,
        activationBits: 3,
        stages: [
          { fromEpoch: 0, weightBits: 8, activationBits: 8 },
          { fromEpoch: 1, weightBits: 4, activationBits: 4 },
          { fromEpoch: 3, weightBits: 3, activationBits: 3 },
        ],
        scaleWarmupEpochs: 0.5,
        dampening: { strength: 1e-3, fromEpoch: 2 },
        freezing: { fromEpoch: 2 },
      },
      ...overrides,
    });

  it("trains, and resumed at a change of stage it equals one that was never stopped", async () => {
    const parent = await temporaryFolder();
    const float = await startRun({ config: tinyConfig(), parent, name: "float" });
    const from = { from: float.paths.folder };
    const whole = await startRun({ config: config(from), parent, name: "whole" });
    const losses = (await readMetrics(whole.paths.metrics)).map((record) => Number(record.loss ?? 0));
    expect(losses.every(Number.isFinite)).toBe(true);
    for (const stopAt of [8, 20]) {
      const controller = new AbortController();
      const name = `stopped-${stopAt}`;
      const listeners = {
        signal: controller.signal,
        onStep: ({ step }: { readonly step: number }) => step === stopAt && controller.abort(),
      };
      await expect(startRun({ config: config(from), parent, name }, listeners)).rejects.toThrow(InterruptedError);
      const resumed = await resumeRun(join(parent, name));
      expect(await readFile(resumed.paths.metrics, "utf8")).toBe(await readFile(whole.paths.metrics, "utf8"));
      const last = "last.safetensors";
      const bytes = await tensorBytes(join(resumed.paths.checkpoints, last));
      expect(bytes).toEqual(await tensorBytes(join(whole.paths.checkpoints, last)));
    }
  });

  it("refuses stages that do not begin at epoch 0 or end with other bits, and distillation without a teacher", async () => {
    const parent = await temporaryFolder();
    await expect(startRun({ config: config(), parent })).rejects.toThrow(/teacher/);
    const stages = [{ fromEpoch: 1, weightBits: 4, activationBits: 4 }];
    const late = tinyConfig({ quantization: { preset: "lsq", stages } });
    await expect(startRun({ config: late, parent })).rejects.toThrow(/epoch 0/);
    const other = tinyConfig({
      quantization: { preset: "lsq", stages: [{ fromEpoch: 0, weightBits: 8, activationBits: 8 }] },
    });
    await expect(startRun({ config: other, parent })).rejects.toThrow(/last stage/);
  });
});
