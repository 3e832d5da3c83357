/** A network bound to another batch size computes for each sample what it computed before. */
import { describe, expect, it } from "vitest";
import { bindBatch } from "../../../src/compile/passes/bind-batch.ts";
import { newBuilder } from "../../../src/compile/registry.ts";
import { GraphError } from "../../../src/errors.ts";
import type { Network } from "../../../src/ir/network.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { makeTensor, type Tensor } from "../../../src/ir/tensor.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { flatten } from "../../../src/ops/families/shape/shape-ops.ts";
import { numbersOf, randomFeeds } from "../../support/graphs/same-numbers.ts";
import { seededParameters } from "../../support/random.ts";

function smallNetwork(): Network {
  const network = new NetworkBuilder("small", seededParameters(1));
  const x = network.input("images", [1, 4, 4]);
  const y = network.builder.one("Relu", [network.conv("conv", x, 2, { kernel: 3, stride: 2, padding: 1, bias: true })]);
  return network.finish(network.linear("fc", flatten(network.builder, y), 3));
}

describe("a network bound to a batch size", () => {
  it("has that size in all types, and all else as before", () => {
    const network = smallNetwork();
    expect(printGraph(network.graph)).toMatchInlineSnapshot(`
      "graph "small"
        input %images: float32[1,1,4,4]
        input %conv.weight: float32[2,1,3,3]
        input %conv.bias: float32[2]
        input %fc.weight: float32[3,8]
        input %fc.bias: float32[3]
        %0: float32[1,2,2,2] = Conv(%images, %conv.weight, %conv.bias) {dilations=[1,1], group=1, kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]}  // conv
        %1: float32[1,2,2,2] = Relu(%0)  // Relu_1
        %2: float32[1,8] = Flatten(%1) {axis=1}  // Flatten_2
        %3: float32[1,3] = Gemm(%2, %fc.weight, %fc.bias) {transA=0, transB=1}  // fc
        output logits = %3"
    `);
    expect(printGraph(bindBatch(network, 3).graph)).toMatchInlineSnapshot(`
      "graph "small"
        input %images: float32[3,1,4,4]
        input %conv.weight: float32[2,1,3,3]
        input %conv.bias: float32[2]
        input %fc.weight: float32[3,8]
        input %fc.bias: float32[3]
        %0: float32[3,2,2,2] = Conv(%images, %conv.weight, %conv.bias) {dilations=[1,1], group=1, kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]}  // conv
        %1: float32[3,2,2,2] = Relu(%0)  // Relu_1
        %2: float32[3,8] = Flatten(%1) {axis=1}  // Flatten_2
        %3: float32[3,3] = Gemm(%2, %fc.weight, %fc.bias) {transA=0, transB=1}  // fc
        output logits = %3"
    `);
    expect(printGraph(bindBatch(bindBatch(network, 3), 1).graph)).toBe(printGraph(network.graph));
  });

  // Engines choose other kernels for other batch sizes, so sums are made in another order.
  it("computes the same for each sample, up to the order of sums", async () => {
    const network = smallNetwork();
    const bound = bindBatch(network, 3).graph;
    const [output] = network.graph.outputs;
    for (let seed = 0; seed < 4; seed++) {
      const feeds = randomFeeds(bound, seed);
      const { images } = feeds;
      if (images === undefined || output === undefined) throw new Error("the graph has no images or no output");
      const together = (await numbersOf(bound, feeds))[output.name] ?? [];
      const alone = await Promise.all(
        [0, 1, 2].map(
          async (n) => (await numbersOf(network.graph, { ...feeds, images: sampleOf(images, n) }))[output.name],
        ),
      );
      expect(together).toHaveLength(9);
      for (const [i, value] of alone.flatMap((values) => values ?? []).entries()) {
        expect(together[i]).toBeCloseTo(value, 5);
      }
    }
  });

  it("is refused where a node has the old size built in", () => {
    const builder = newBuilder("fixed");
    const x = builder.input("x", { dtype: "float32", shape: [1, 4] });
    const shape = builder.constant(makeTensor("int64", [2], BigInt64Array.of(2n, 2n)), "shape");
    builder.output("y", builder.one("Reshape", [x, shape]));
    const network: Network = { name: "fixed", graph: builder.finish(), parameters: [] };
    expect(() => bindBatch(network, 3)).toThrow(GraphError);
  });
});

function sampleOf({ data, shape }: Tensor, n: number): Tensor {
  if (!(data instanceof Float32Array)) throw new Error("images are float32");
  const size = data.length / (shape[0] ?? 1);
  return makeTensor("float32", [1, ...shape.slice(1)], data.slice(n * size, (n + 1) * size));
}
