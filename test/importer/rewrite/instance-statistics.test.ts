/** InstanceNorm with running statistics, which torch exports as a BatchNormalization of all samples' channels. */

import { describe, expect, it } from "vitest";
import { addForward, trainingMode } from "../../../src/compile/build/forward.ts";
import { differentiate } from "../../../src/compile/passes/differentiate.ts";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import { float32Data, type Tensor } from "../../../src/ir/tensor.ts";
import { reduceSum } from "../../../src/ops/families/reduce.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";
import { distance, fileOutputs, outputsOf, sample } from "../../support/onnx/imported.ts";
import { type FileText, floats, ints, onnxModel } from "../../support/onnx/model.ts";

const [samples, channels, pixels] = [3, 2, 4];
const stated = { scale: [1.5, 0.5], offset: [0.25, -0.5], mean: [0.1, -0.2], variance: [1.25, 0.75] };

function file(repeat: (values: readonly number[]) => readonly number[]): FileText {
  const vectors = Object.entries(stated).map(([name, values]) => {
    const whole = repeat(values);
    return [name, floats([whole.length], whole)] as const;
  });
  return {
    inputs: { x: [samples, channels, pixels] },
    outputs: ["y"],
    nodes: [
      ["Reshape", ["x", "flat"], ["wide"]],
      ["BatchNormalization", ["wide", "scale", "offset", "mean", "variance"], ["z"]],
      ["Reshape", ["z", "back"], ["y"]],
    ],
    initializers: {
      ...Object.fromEntries(vectors),
      flat: ints(1, samples * channels, pixels),
      back: ints(samples, channels, pixels),
    },
  };
}

const copies = (values: readonly number[]) => Array.from({ length: samples }, () => values).flat();
const tied = onnxModel(file(copies));
const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("a BatchNormalization of [1, N·C, …] whose parameters are stored once for each sample", () => {
  it("has one set of parameters, and the same outputs", async () => {
    const network = importOnnx(tied);
    expect(network.parameters.map(({ name, value }) => [name, Array.from(float32Data(value))])).toEqual(
      Object.entries(stated).map(([name, values]) => [name, Array.from(Float32Array.from(values))]),
    );
    const expected = await fileOutputs(tied, { x: [samples, channels, pixels] });
    expect(distance((await outputsOf(network)).y, expected.y)).toBeLessThan(1e-6);
  });

  it("keeps parameters apart that differ between the samples", () => {
    const network = importOnnx(onnxModel(file((values) => copies(values).map((value, i) => value + i / 64))));
    expect(network.parameters.map(({ value }) => value.shape)).toEqual([[6], [6], [6], [6]]);
  });

  it("sums the gradients of the copies, and averages the statistics of the samples, as torch does", async () => {
    const network = importOnnx(tied);
    const b = newBuilder("step");
    const inputs = new Map(network.graph.inputs.map(({ name, type }) => [name, b.input(name, type)]));
    const { outputs, updates } = addForward(b, network, inputs, trainingMode);
    const weights = sample([samples, channels, pixels]);
    const [y, scale] = [outputs.get("y"), inputs.get("scale")];
    if (y === undefined || scale === undefined) throw new Error("the network has no y or no scale");
    const loss = reduceSum(b, b.one("Mul", [y, b.constant(weights)]), undefined, { keepDimensions: false });
    const gradient = differentiate(b, operators, b.nodes, loss, [scale]).get(scale);
    if (gradient !== undefined) b.output("gradient", gradient);
    for (const [name, value] of updates) b.output(`next.${name}`, value);
    const x = sample([samples, channels, pixels]);
    const feeds: Record<string, Tensor> = { x };
    for (const { name, value } of network.parameters) feeds[name] = value;
    const found = await runGraph(lowerGraph(b.finish(), operators, genericTarget), feeds, { registry: operators });
    for (let channel = 0; channel < channels; channel++) {
      const rows = Array.from({ length: samples }, (_, i) => {
        const start = (i * channels + channel) * pixels;
        return Array.from(float32Data(x)).slice(start, start + pixels);
      });
      const spread = rows.map((row) => average(row.map((value) => (value - average(row)) ** 2)));
      const slope = rows.flatMap((row, i) =>
        row.map((value) => (value - average(row)) / Math.sqrt((spread[i] ?? 0) + 1e-5)),
      );
      const weight = rows.flat();
      const at = (name: string) => Array.from(float32Data(found[name] ?? weights))[channel];
      expect(at("gradient")).toBeCloseTo(
        slope.reduce((sum, value, i) => sum + value * (weight[i] ?? 0), 0),
        4,
      );
      expect(at("next.mean")).toBeCloseTo(0.9 * (stated.mean[channel] ?? 0) + 0.1 * average(rows.map(average)), 5);
      const unbiased = (average(spread) * pixels) / (pixels - 1);
      expect(at("next.variance")).toBeCloseTo(0.9 * (stated.variance[channel] ?? 0) + 0.1 * unbiased, 5);
    }
  });
});
