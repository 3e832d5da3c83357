/**
 * Weights in groups as ONNX Runtime's MatMulNBits and GatherBlockQuantized unpack them: bit for bit the weights of the simulation, for
 * every number of bits, group and grid. A product with the identity shows each weight. BLOCK_WEIGHTS=COUNT draws more.
 */

import fc from "fast-check";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { bindBatch } from "../../../src/compile/passes/bind-batch.ts";
import {
  type GroupOptions,
  withGroupedWeights,
  withWeightsByOutput,
} from "../../../src/compile/passes/group-weights.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { withoutQuantizers } from "../../../src/compile/passes/without-quantizers.ts";
import { buildLowBitWeights } from "../../../src/convert/formats/low-bit-weights.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import type { Network } from "../../../src/ir/network.ts";
import { float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { emit } from "../../../src/runtime/job.ts";
import { type FileText, onnxModel } from "../../support/onnx/model.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const runs = Number(process.env.BLOCK_WEIGHTS ?? 25);

const grids = fc.record({
  bits: fc.constantFrom<2 | 4 | 8>(2, 4, 8),
  groupSize: fc.constantFrom(16, 32, 64, 128, 256),
  symmetric: fc.boolean(),
  blocks: fc.integer({ min: 1, max: 3 }),
  outputs: fc.integer({ min: 1, max: 9 }),
  seed: fc.integer({ min: 0, max: 1 << 30 }),
});

async function run(bytes: Uint8Array, feeds: Readonly<Record<string, OrtTensor>>): Promise<Float32Array> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  const used = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
  const { y } = await session.run(used);
  await session.release();
  // A code has one zero, where the simulation's rounding keeps the sign of what it rounds.
  return Float32Array.from(Array.from(y?.data ?? [], Number), (value) => value + 0);
}

/** The file's output, the simulation's, and the operators of the file. */
async function both(text: FileText, options: GroupOptions, feeds: Readonly<Record<string, OrtTensor>>, batch: number) {
  const { network: rounded } = withGroupedWeights(importOnnx(onnxModel(text)), options);
  const { bytes, weights } = buildLowBitWeights(rounded, withoutQuantizers(rounded));
  const own = Object.fromEntries(
    rounded.parameters.map(({ name, value }) => [name, new OrtTensor("float32", numbersOf(value), value.shape)]),
  );
  const bound: Network = bindBatch(rounded, batch);
  const simulated = await run(emit(bound.graph, genericTarget), { ...own, ...feeds });
  const ops = importOnnx(bytes).graph.nodes.map(({ op }) => op);
  return { written: await run(bytes, feeds), simulated, ops, weights };
}

function numbersOf({ data }: Tensor): Float32Array {
  return Float32Array.from(data, Number);
}

function identity(size: number): OrtTensor {
  const data = new Float32Array(size * size);
  for (let i = 0; i < size; i++) data[i * size + i] = 1;
  return new OrtTensor("float32", data, [1, size, size]);
}

describe("weights in groups", () => {
  it("of a matrix product", async () => {
    await fc.assert(
      fc.asyncProperty(grids, async ({ groupSize, blocks, outputs, seed, ...grid }) => {
        const inputs = groupSize * blocks;
        const text: FileText = {
          inputs: { x: ["N", inputs, inputs] },
          outputs: ["y"],
          nodes: [["MatMul", ["x", "w"], ["y"]]],
          initializers: { w: randomTensor(seeded(seed), [inputs, outputs]) },
        };
        const { written, simulated, ops, weights } = await both(
          text,
          { ...grid, groupSize },
          { x: identity(inputs) },
          1,
        );
        expect(ops).toEqual(["MatMulNBits"]);
        expect(weights).toEqual([{ name: "w", bits: grid.bits, levels: 2 ** grid.bits }]);
        expect(written).toEqual(simulated);
      }),
      { numRuns: runs },
    );
  });

  it("of a dense layer and of an embedding", async () => {
    await fc.assert(
      fc.asyncProperty(grids, async ({ groupSize, blocks, outputs, seed, ...grid }) => {
        const width = groupSize * blocks;
        const random = seeded(seed);
        const text: FileText = {
          inputs: { x: ["N", 3] },
          inputType: "int64",
          outputs: ["y"],
          nodes: [["Gather", ["table", "x"], ["y"], { axis: 0 }]],
          initializers: { table: randomTensor(random, [7, width]) },
        };
        const index = new OrtTensor("int64", BigInt64Array.of(0n, 6n, 3n, 2n, 1n, 6n), [2, 3]);
        const embedded = await both(text, { ...grid, groupSize }, { x: index }, 2);
        expect(embedded.ops).toEqual(["GatherBlockQuantized"]);
        expect(embedded.written).toEqual(embedded.simulated);

        const dense: FileText = {
          inputs: { x: ["N", width] },
          outputs: ["y"],
          nodes: [["Gemm", ["x", "w", "b"], ["y"], { transB: 1 }]],
          initializers: { w: randomTensor(random, [outputs, width]), b: randomTensor(random, [outputs]) },
        };
        const x = new OrtTensor("float32", numbersOf(randomTensor(random, [2, width])), [2, width]);
        const layer = await both(dense, { ...grid, groupSize }, { x }, 2);
        expect(layer.ops).toEqual(["MatMulNBits", "Add"]);
        const largest = Math.max(...layer.simulated.map(Math.abs));
        layer.written.forEach((value, i) => {
          expect(Math.abs(value - (layer.simulated[i] ?? 0))).toBeLessThan(1e-5 * Math.max(1, largest));
        });
      }),
      { numRuns: Math.ceil(runs / 2) },
    );
  });

  it("shared by an embedding and the last layer are stored for both in one table", async () => {
    const text: FileText = {
      inputs: { x: ["N", 4] },
      inputType: "int64",
      outputs: ["y"],
      nodes: [
        ["Gather", ["table", "x"], ["e"], { axis: 0 }],
        ["Transpose", ["table"], ["head"], { perm: [1, 0] }],
        ["MatMul", ["e", "head"], ["y"]],
      ],
      initializers: { table: randomTensor(seeded(5), [11, 64]) },
    };
    const index = new OrtTensor("int64", BigInt64Array.of(0n, 10n, 3n, 2n), [1, 4]);
    const { written, simulated, ops, weights } = await both(
      text,
      { bits: 4, groupSize: 32, symmetric: false },
      { x: index },
      1,
    );
    expect(ops).toEqual(["GatherBlockQuantized", "MatMulNBits"]);
    expect(weights).toHaveLength(1);
    written.forEach((value, i) => {
      expect(Math.abs(value - (simulated[i] ?? 0))).toBeLessThan(1e-5);
    });
  });

  it("take the largest group that divides a layer's inputs, and leave a layer that none divides", () => {
    const text: FileText = {
      inputs: { x: ["N", 96] },
      outputs: ["y"],
      nodes: [
        ["MatMul", ["x", "a"], ["m"]],
        ["MatMul", ["m", "b"], ["y"]],
      ],
      initializers: { a: randomTensor(seeded(1), [96, 20]), b: float32Tensor([20, 3], new Float32Array(60).fill(1)) },
    };
    const options = { bits: 4, groupSize: 128, symmetric: true } as const;
    const { network, left } = withGroupedWeights(importOnnx(onnxModel(text)), options);
    expect(network.sites.map(({ tensor, spec }) => [tensor, spec.groupSize])).toEqual([["a", 32]]);
    expect(left).toEqual(["b"]);
  });

  it("that a training quantizes are packed where weights lie by outputs, and change nothing before", async () => {
    const text: FileText = {
      inputs: { x: ["N", 64] },
      outputs: ["y"],
      nodes: [
        ["MatMul", ["x", "a"], ["h"]],
        ["Relu", ["h"], ["r"]],
        ["Gemm", ["r", "b"], ["y"]],
      ],
      initializers: { a: randomTensor(seeded(1), [64, 32]), b: randomTensor(seeded(2), [32, 5]) },
    };
    const read = importOnnx(onnxModel(text));
    const network = withWeightsByOutput(read);
    expect(network.parameters.map(({ value }) => value.shape)).toEqual([
      [32, 64],
      [5, 32],
    ]);
    const preset = presetNamed("lsq", { weightBits: 4, activationBits: 8 });
    const weight = { ...preset.weight, quantizer: "lsq", bits: 4, signed: true, options: {} } as const;
    const quantized = quantize(network, {
      ...preset,
      weight: { ...weight, granularity: "group", groupSize: 16 },
      activation: null,
      firstLayer: "same",
      lastLayer: "same",
    });
    const float = withoutQuantizers(quantized);
    const x = new OrtTensor("float32", numbersOf(randomTensor(seeded(3), [2, 64])), [2, 64]);
    const feedsOf = ({ parameters }: Network) =>
      Object.fromEntries(
        parameters.map(({ name, value }) => [name, new OrtTensor("float32", numbersOf(value), value.shape)]),
      );
    const outputOf = (each: Network) => run(emit(bindBatch(each, 2).graph, genericTarget), { ...feedsOf(each), x });
    expect(await outputOf(network)).toEqual(await outputOf(read));
    const { bytes } = buildLowBitWeights(quantized, float);
    expect(importOnnx(bytes).graph.nodes.map(({ op }) => op)).toEqual(["MatMulNBits", "Relu", "MatMulNBits"]);
    const [written, simulated] = [await run(bytes, { x }), await outputOf(quantized)];
    written.forEach((value, i) => {
      expect(Math.abs(value - (simulated[i] ?? 0))).toBeLessThan(1e-4);
    });
  });
});
