/** The networks that are built by name: their size, that they learn, and how quantizers are placed in them. @slow */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { trainingMode } from "../../src/compile/build/forward.ts";
import { buildTrainingStep, learningRateInput, parameterGroups } from "../../src/compile/build/training-step.ts";
import { explain } from "../../src/compile/explain.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { type Network, parameterCount } from "../../src/ir/network.ts";
import { float32Tensor, makeTensor } from "../../src/ir/tensor.ts";
import { makeModel } from "../../src/models/index.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { TrainingJob } from "../../src/runtime/job.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { StateBuffers } from "../../src/runtime/state.ts";

const cifar = { sampleShape: [3, 32, 32], classes: 10 };

function model(name: string, options = {}): Network {
  return makeModel(name, { ...cifar, ...options }, randomStream(1, "weights"));
}

describe("the number of trainable parameters", () => {
  // torch.nn.Module.parameters() of torchvision's mobilenet_v2(num_classes=10[, width_mult=0.5]), of vgg11_bn's features
  // with Linear(512, 10), and of a Conv2d, a position embedding, six TransformerEncoderLayers(128, 4, 512), LayerNorm and Linear.
  it.each([
    ["mobilenetv2", {}, 2_236_682],
    ["mobilenetv2", { width: 16 }, 700_490],
    ["mobilenetv2", { stem: "imagenet", sampleShape: [3, 224, 224] }, 2_236_682],
    ["vgg11", {}, 9_231_114],
    ["vit", {}, 1_205_642],
  ] as const)("of %s with %j is torch's", (name, options, count) => {
    expect(parameterCount(model(name, options))).toBe(count);
  });
});

describe("the shapes", () => {
  it("of mobilenetv2 are halved three times for small images and five times for large ones", () => {
    const last = (network: Network) =>
      network.graph.nodes.filter(({ op }) => op === "Conv").at(-1)?.outputs[0]?.type.shape;
    expect(last(model("mobilenetv2"))).toEqual([1, 1280, 4, 4]);
    expect(last(model("mobilenetv2", { stem: "imagenet", sampleShape: [3, 224, 224] }))).toEqual([1, 1280, 7, 7]);
  });

  it("that a vision transformer cannot cut into patches are refused", () => {
    expect(() => model("vit", { sampleShape: [3, 30, 32] })).toThrow(/does not divide into patches/);
    expect(() => model("vit", { width: 100 })).toThrow(/does not divide into|do not divide into 3 heads/);
  });
});

describe("a quantized model", () => {
  it("has every layer's weight and input at the bits asked for, the first and last at 8", () => {
    const network = quantize(model("mobilenetv2"), presetNamed("lsq", { weightBits: 4, activationBits: 3 }));
    const weights = network.sites.filter(({ kind }) => kind === "weight");
    expect(weights).toHaveLength(53);
    expect(weights.map(({ spec }) => spec.bits)).toEqual([8, ...new Array<number>(51).fill(4), 8]);
    // A depthwise weight [C,1,3,3] has a step for each of its C channels.
    const depthwise = weights.find(({ parameter }) => parameter === "features.2.conv.1.0.weight");
    expect(depthwise?.spec.channelAxis).toBe(0);
    const hidden = network.sites.filter(({ spec, kind }) => kind === "activation" && spec.nonNegative === true);
    expect(hidden.length).toBeGreaterThanOrEqual(34);
  });

  it.each(["mobilenetv2", "vgg11", "vit"])("%s can be explained", (name) => {
    const explanation = explain(
      model(name, { width: 32 }),
      presetNamed("minmax", { weightBits: 4, activationBits: 4 }),
    );
    expect(explanation.tensors.length).toBeGreaterThan(10);
    for (const { levels } of explanation.tensors) expect(levels).toBe(16);
  });
});

describe("a model learns a batch by heart", () => {
  it.each([
    ["mobilenetv2", "lsq"],
    ["vgg11", "lsq"],
    ["vit", "float"],
    ["vit", "lsq"],
  ])("%s, %s", async (name, preset) => {
    const sampleShape = [3, 16, 16];
    const float = model(name, { sampleShape, width: name === "vit" ? 32 : 16 });
    const bits = { weightBits: 8, activationBits: 8 };
    const losses = await trainOnOneBatch(preset === "float" ? float : quantize(float, presetNamed(preset, bits)), 12);
    expect(losses.at(-1)).toBeLessThan(0.7 * (losses[0] ?? 0));
  });
});

/** Losses of Adam on 16 images of noise. A learned step that no batch has set yet starts at 1/32. */
async function trainOnOneBatch(network: Network, steps: number): Promise<number[]> {
  const batchSize = 16;
  const sampleShape = network.graph.inputs[0]?.type.shape.slice(1) ?? [];
  const step = buildTrainingStep(network, {
    batchSize,
    input: { dtype: "float32" },
    loss: { name: "crossEntropy", labelSmoothing: 0 },
    optimizer: { name: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    weightDecay: { weights: 0, normalization: 0, quantizers: 0 },
    mode: trainingMode,
  });
  const job = await TrainingJob.create(nodeEngine({ threads: 1 }), step);
  const state = new StateBuffers([]);
  job.prepare(state);
  for (const name of state.names) {
    if (name.endsWith(".input.quantizer.scale") && !name.startsWith("optimizer.")) {
      state.set(name, float32Tensor([], [1 / 32]));
    }
  }
  const random = randomStream(2, "batch");
  const count = batchSize * sampleShape.reduce((product, size) => product * size, 1);
  const data = float32Tensor(
    [batchSize, ...sampleShape],
    Float32Array.from({ length: count }, () => random.normal()),
  );
  const targets = makeTensor(
    "int32",
    [batchSize],
    Int32Array.from({ length: batchSize }, (_, i) => i % 10),
  );
  const rates = Object.fromEntries(parameterGroups.map((group) => [learningRateInput(group), 0.002]));
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    losses.push((await job.run(state, { data, targets }, { ...rates, ...adamScalars(i + 1) })).loss);
  }
  await job.release();
  return losses;
}

function adamScalars(step: number): Record<string, number> {
  return { bias_correction1: 1 - 0.9 ** step, bias_correction2_root: Math.sqrt(1 - 0.999 ** step) };
}
