/** Lowering: operators of our own become the target's, and nothing else changes. */
import { describe, expect, it } from "vitest";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { GraphError } from "../../../src/errors.ts";
import { type Graph, subbyteDomain } from "../../../src/ir/graph.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { makeRegistry, type Target } from "../../../src/ops/definition.ts";
import { fakeQuantize } from "../../../src/quantizers/fake-quantize.ts";
import { genericTarget } from "../../support/graphs/gradient-check.ts";
import { expectAgreement } from "../../support/graphs/lowering.ts";
import { expectSameNumbers, printWithoutSpecs, randomFeeds } from "../../support/graphs/same-numbers.ts";
import { specFor } from "../../support/training/quantizer.ts";

const blocked: Target = { name: "cpu", blockSize: 8 };

/** A quantized tensor into a convolution and an activation. */
function smallGraph(): Graph {
  const builder = newBuilder("small");
  const x = builder.input("x", { dtype: "float32", shape: [1, 8, 4, 4] });
  const w = builder.input("w", { dtype: "float32", shape: [8, 8, 3, 3] });
  const scale = builder.input("scale", { dtype: "float32", shape: [] });
  const spec = specFor("lsq", 4, true, {});
  const quantized = fakeQuantize(builder, x, spec, { scale });
  const attributes = { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], group: 1 };
  const y = builder.one("Conv", [quantized, w], attributes, { name: "conv" });
  builder.output("y", builder.one("Relu", [y], {}, { name: "relu" }));
  return builder.finish();
}

/** The printed graph without the names of its nodes, which lowering makes longer. */
function withoutNames(graph: Graph): string {
  return printGraph(graph).replaceAll(/ {2}\/\/ .*/g, "");
}

describe("lowering", () => {
  it("gives each target its operators", () => {
    const graph = smallGraph();
    expect(printWithoutSpecs(graph)).toMatchInlineSnapshot(`
      "graph "small"
        input %x: float32[1,8,4,4]
        input %w: float32[8,8,3,3]
        input %scale: float32[]
        %0: float32[1,8,4,4] = subbyte:FakeQuantize(%x, %scale)  // FakeQuantize_0
        %1: float32[1,8,4,4] = Conv(%0, %w) {dilations=[1,1], group=1, kernel_shape=[3,3], pads=[1,1,1,1], strides=[1,1]}  // conv
        %2: float32[1,8,4,4] = Relu(%1)  // relu
        output y = %2"
    `);
    expect(printWithoutSpecs(lowerGraph(graph, operators, genericTarget))).toMatchInlineSnapshot(`
      "graph "small"
        input %x: float32[1,8,4,4]
        input %w: float32[8,8,3,3]
        input %scale: float32[]
        %0: float32[] = Reciprocal(%scale)  // FakeQuantize_0/Reciprocal_0
        %1: float32[1,8,4,4] = Mul(%x, %0)  // FakeQuantize_0/Mul_1
        %2: float32[1,8,4,4] = Clip(%1, -8.0, 7.0)  // FakeQuantize_0/Clip_2
        %3: float32[1,8,4,4] = Round(%2)  // FakeQuantize_0/Round_3
        %4: float32[1,8,4,4] = Mul(%3, %scale)  // FakeQuantize_0/Mul_4
        %5: float32[1,8,4,4] = Conv(%4, %w) {dilations=[1,1], group=1, kernel_shape=[3,3], pads=[1,1,1,1], strides=[1,1]}  // conv/conv
        %6: float32[1,8,4,4] = Relu(%5)  // relu
        output y = %6"
    `);
    expect(printWithoutSpecs(lowerGraph(graph, operators, blocked))).toMatchInlineSnapshot(`
      "graph "small"
        input %x: float32[1,8,4,4]
        input %w: float32[8,8,3,3]
        input %scale: float32[]
        %0: float32[] = Reciprocal(%scale)  // FakeQuantize_0/Reciprocal_0
        %1: float32[1,8,4,4] = Mul(%x, %0)  // FakeQuantize_0/Mul_1
        %2: uint8[1,8,4,4] = QuantizeLinear(%1, 1.0, 248:uint8)  // FakeQuantize_0/QuantizeLinear_2
        %3: uint8[1,8,4,4] = Clip(%2, 240:uint8)  // FakeQuantize_0/Clip_3
        %4: float32[1,8,4,4] = DequantizeLinear(%3, %scale, 248:uint8)  // FakeQuantize_0/DequantizeLinear_4
        %5: float32[1,8,4,4] = com.microsoft.nchwc:ReorderInput(%4)  // conv/ReorderInput_5
        %6: float32[8,8,3,3] = com.microsoft.nchwc:ReorderInput(%w)  // conv/ReorderInput_6
        %7: float32[1,8,8,9] = Reshape(%6, (1,8,8,9):int64)  // conv/Reshape_7
        %8: float32[1,8,8,9] = com.microsoft.nchwc:ReorderInput(%7)  // conv/ReorderInput_8
        %9: float32[8,8,3,3] = Reshape(%8, (8,8,3,3):int64)  // conv/Reshape_9
        %10: float32[1,8,4,4] = com.microsoft.nchwc:Conv(%5, %9) {dilations=[1,1], group=1, kernel_shape=[3,3], pads=[1,1,1,1], strides=[1,1]}  // conv/Conv_10
        %11: float32[1,8,4,4] = Relu(%10)  // relu/Relu_12
        %12: float32[1,8,4,4] = com.microsoft.nchwc:ReorderOutput(%11) {channels=8}  // relu/ReorderOutput_13
        output y = %12"
    `);
  });

  it("leaves nothing to lower, and the same numbers by both targets", async () => {
    const graph = smallGraph();
    const lowered = lowerGraph(graph, operators, genericTarget);
    expect(graph.nodes.some(({ domain }) => domain === subbyteDomain)).toBe(true);
    expect(lowered.nodes.filter(({ domain }) => domain === subbyteDomain)).toEqual([]);
    expect(withoutNames(lowerGraph(lowered, operators, genericTarget))).toBe(withoutNames(lowered));
    await expectSameNumbers(graph, lowered, 2);
    // Blocked convolutions add their products in another order.
    for (const seed of [1, 2, 3]) await expectAgreement(graph, randomFeeds(graph, seed), 1e-5, `seed ${seed}`);
  });

  it("refuses a lowering that changes a type", () => {
    const wrong = makeRegistry([
      ...[...operators.values()].filter(({ op }) => op !== "Relu"),
      {
        op: "Relu",
        domain: "",
        infer: ({ inputs: [x] }) => (x === undefined ? [] : [x]),
        lower: ({ builder }) => [builder.scalar(1)],
      },
    ]);
    expect(() => lowerGraph(smallGraph(), wrong, genericTarget)).toThrow(GraphError);
    expect(() => lowerGraph(smallGraph(), wrong, genericTarget)).toThrow(
      /the generic lowering made float32\[\] of output 0/,
    );
  });
});
