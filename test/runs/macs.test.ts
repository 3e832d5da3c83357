/** One number of multiply-accumulates, whoever shows it: inspect, the cost of a run, the profile of a step. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bindBatch } from "../../src/compile/passes/bind-batch.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { newBuilder } from "../../src/compile/registry.ts";
import { floatOperations } from "../../src/compile/work.ts";
import { inspectNetwork } from "../../src/importer/inspect.ts";
import type { Value } from "../../src/ir/graph.ts";
import type { Network } from "../../src/ir/network.ts";
import { filled } from "../../src/ir/tensor.ts";
import { elementCount } from "../../src/ir/types.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import { matmul } from "../../src/ops/families/matmul.ts";
import { reshape, transpose } from "../../src/ops/families/shape/shape-ops.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { networkCost } from "../../src/runs/cost.ts";
import { plainStep } from "../support/training/plain-step.ts";

interface Step {
  readonly kind: "conv" | "convTranspose" | "attention" | "matmul" | "gemm" | "lstm" | "gru" | "rnn";
  readonly channels: 1 | 2 | 4;
  readonly groups: 1 | 2;
  readonly stride: 1 | 2;
}

const steps: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("conv", "convTranspose", "attention", "matmul", "gemm", "lstm", "gru", "rnn"),
  channels: fc.constantFrom(1, 2, 4),
  groups: fc.constantFrom(1, 2),
  stride: fc.constantFrom(1, 2),
});
const stacks = fc.array(steps, { minLength: 1, maxLength: 5 });
const gates = { lstm: 4, gru: 3, rnn: 1 } as const;

function randomNetwork(list: readonly Step[]): Network {
  const network = new NetworkBuilder("random", { uniform: () => 0.5, normal: () => 1 });
  let x = network.input("images", [2, 4, 4]);
  list.forEach((step, index) => {
    x = addStep(network, x, step, `step${index}`);
  });
  return network.finish(network.linear("head", reshape(network.builder, x, [1, elementCount(x.type.shape)]), 3));
}

function addStep(network: NetworkBuilder, x: Value, { kind, channels, groups, stride }: Step, name: string): Value {
  const { builder } = network;
  const [, inChannels = 1, height = 1, width = 1] = x.type.shape;
  const group = inChannels % groups === 0 && channels % groups === 0 ? groups : 1;
  const weight = (part: string, ...shape: number[]) =>
    network.parameter(`${name}.${part}`, "weight", filled(shape, 0.1));
  switch (kind) {
    case "conv":
      return network.conv(name, x, channels, { kernel: 3, padding: 1, stride, groups: group, bias: stride === 1 });
    case "convTranspose": {
      const attributes = { kernel_shape: [2, 2], strides: [stride, stride], group };
      const inputs = [x, weight("weight", inChannels, channels, 2, 2)];
      return builder.one("ConvTranspose", inputs, attributes, { name });
    }
    case "attention": {
      // A product of two activations: no weight is read.
      const rows = reshape(builder, x, [1, inChannels, height * width]);
      const scores = builder.scope(name, () => matmul(builder, rows, transpose(builder, rows, [0, 2, 1])));
      return reshape(builder, scores, [1, inChannels, inChannels, 1]);
    }
    case "matmul":
      return builder.one("MatMul", [x, weight("weight", width, channels)], {}, { name });
    case "gemm": {
      const features = inChannels * height * width;
      const y = network.linear(name, reshape(builder, x, [1, features]), 4 * channels);
      return reshape(builder, y, [1, channels, 2, 2]);
    }
    default: {
      const [length, features] = [inChannels * height, width];
      const inputs = [
        reshape(builder, x, [length, 1, features]),
        weight("w", 1, gates[kind] * channels, features),
        weight("r", 1, gates[kind] * channels, channels),
      ];
      const y = builder.one(kind.toUpperCase(), inputs, { hidden_size: channels }, { name });
      return reshape(builder, y, [1, inChannels, height, channels]);
    }
  }
}

const sum = (numbers: Iterable<number>) => [...numbers].reduce((total, number) => total + number, 0);

describe("multiply-accumulates", () => {
  it("are one number for inspect, cost and profile, whatever the layers", () => {
    fc.assert(
      fc.property(stacks, (list) => {
        const network = randomNetwork(list);
        const report = inspectNetwork(network);
        const withWeight = report.layers.filter(({ quantizable }) => quantizable);
        const cost = networkCost(network);
        expect(cost.layers.map(({ name, macs }) => [name, macs])).toEqual(
          withWeight.map(({ name, multiplications }) => [name, multiplications]),
        );
        expect(cost.macs).toBe(sum(withWeight.map(({ multiplications }) => multiplications)));
        expect(sum(floatOperations(network.graph).values())).toBe(2 * report.totals.multiplications);
      }),
    );
  });

  it("grow with the batch in the profile and not in the cost of one sample", () => {
    const trained = stacks.map((list) => list.filter(({ kind }) => kind === "conv"));
    fc.assert(
      fc.property(trained, fc.integer({ min: 2, max: 9 }), (list, batchSize) => {
        const network = new NetworkBuilder("random", { uniform: () => 0.5, normal: () => 1 });
        let x = network.input("images", [2, 4, 4]);
        for (const [index, step] of list.entries()) x = addStep(network, x, step, `step${index}`);
        const rows = network.builder.one("Flatten", [x]);
        const finished = network.finish(network.linear("head", rows, 3));
        const step = plainStep(finished, batchSize);
        const { multiplications } = inspectNetwork(finished).totals;
        expect(floatOperations(step.graph).get("layers forward")).toBe(2 * batchSize * multiplications);
        expect(networkCost(bindBatch(finished, batchSize)).macs).toBe(networkCost(finished).macs);
      }),
    );
  });

  it("are the same with quantizers as without", () => {
    fc.assert(
      fc.property(stacks, (list) => {
        const network = randomNetwork(list);
        const quantized = quantize(network, presetNamed("lsq", { weightBits: 3, activationBits: 4 }));
        expect(networkCost(quantized).macs).toBe(networkCost(network).macs);
        expect(inspectNetwork(quantized).totals.multiplications).toBe(inspectNetwork(network).totals.multiplications);
      }),
    );
  });

  it("of a product that broadcasts or has a vector are those of its output's sums", () => {
    const operationsOf = (left: number[], right: number[]) => {
      const builder = newBuilder("product");
      const [x, y] = [left, right].map((shape, i) => builder.input(`x${i}`, { dtype: "float32", shape }));
      builder.output("y", builder.one("MatMul", [x, y]));
      return sum(floatOperations(builder.finish()).values());
    };
    expect(operationsOf([1, 2, 3], [5, 3, 4])).toBe(2 * 5 * 2 * 4 * 3);
    expect(operationsOf([2, 3], [3])).toBe(2 * 2 * 3);
    expect(operationsOf([3], [3, 4])).toBe(2 * 4 * 3);
  });
});
