/** Attention masks: what is taken for one, and where the quantizer of masked scores stands. */
import { describe, expect, it } from "vitest";
import { isLowScore, isMask } from "../../src/compile/attention-masks.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { importOnnx } from "../../src/importer/import.ts";
import type { Value } from "../../src/ir/graph.ts";
import type { Network } from "../../src/ir/network.ts";
import { float32Tensor } from "../../src/ir/tensor.ts";
import { elementCount } from "../../src/ir/types.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import { add } from "../../src/ops/families/elementwise.ts";
import { matmul } from "../../src/ops/families/matmul.ts";
import { reshape, transpose } from "../../src/ops/families/shape/shape-ops.ts";
import { softmax } from "../../src/ops/families/softmax.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { seeded } from "../support/random.ts";

const config = { ...presetNamed("lsq", { weightBits: 4, activationBits: 4 }), residualBits: 8 };

/** Attention of four tokens to each other; windows have their scores written with an axis more while a mask is added. */
function attention(mask: readonly number[], isWindowed: boolean): Network {
  const random = seeded(3);
  const network = new NetworkBuilder("attention", { uniform: random, normal: () => 2 * random() - 1 });
  const { builder: b } = network;
  const numbers = (shape: readonly number[]) =>
    float32Tensor(
      shape,
      Float32Array.from({ length: elementCount(shape) }, () => random() - 0.5),
    );
  const x = network.input("tokens", [4, 6]);
  const linear = (name: string, value: Value): Value =>
    network.layer(name, () =>
      b.one("MatMul", [value, network.parameter(`${name}.weight`, "weight", numbers([6, 6]))], {}, { name }),
    );
  const scores = network.layer("scores", () => matmul(b, linear("q", x), transpose(b, linear("k", x), [0, 2, 1])));
  const constant = b.constant(float32Tensor([4, 4], Float32Array.from(mask)), "mask");
  const masked = isWindowed
    ? reshape(b, add(b, reshape(b, scores, [0, 1, 4, 4]), constant), [0, 4, 4])
    : add(b, scores, constant);
  const mixed = network.layer("mixed", () => matmul(b, softmax(b, masked), linear("v", x)));
  return network.finish(linear("out", mixed));
}

const lowerTriangle = (low: number): number[] =>
  Array.from({ length: 16 }, (_, i) => (i % 4 <= Math.floor(i / 4) ? 0 : low));

describe("a mask", () => {
  it("is 0 where scores are kept, and so low elsewhere that nothing is left of them", () => {
    expect([-100, -1e9, -64, Number.NEGATIVE_INFINITY].map((low) => isMask([0, low, 0]))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([isMask([0, 0]), isMask([0, -1]), isMask([1, -100]), isMask([])]).toEqual([false, false, false, false]);
    expect([isLowScore([-100, -65]), isLowScore([-100, 0]), isLowScore([])]).toEqual([true, false, false]);
  });

  it.each([-100, -1e9, Number.NEGATIVE_INFINITY])("of %d in a file is no parameter that training changes", (low) => {
    const { parameters } = importOnnx(exportOnnx(attention(lowerTriangle(low), false)));
    expect(parameters.map(({ value }) => value.shape.join())).not.toContain("4,4");
  });

  it("and a bias of scores is one", () => {
    const { parameters } = importOnnx(exportOnnx(attention(lowerTriangle(-1), false)));
    expect(parameters.map(({ value }) => value.shape.join())).toContain("4,4");
  });

  it.each([false, true])("has the quantizer of the scores before it; written in windows: %s", (isWindowed) => {
    const { sites, graph } = quantize(attention(lowerTriangle(-100), isWindowed), config);
    const readers = graph.nodes.filter(({ op }) => op === "Softmax" || op === "Add");
    const quantized = readers.filter(({ inputs }) =>
      graph.nodes.some(({ op, outputs }) => op === "FakeQuantize" && outputs.some((output) => inputs.includes(output))),
    );
    expect(quantized.map(({ op }) => op)).toEqual(["Add"]);
    expect(sites.filter(({ kind }) => kind === "activation")).toHaveLength(8);
  });
});
