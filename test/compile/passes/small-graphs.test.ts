/** Passes on graphs small enough to read: what they look like before and after, and that the numbers stay. */
import { describe, expect, it } from "vitest";
import { shortenDots } from "../../../src/compile/passes/dot-products.ts";
import { updatesInPlace } from "../../../src/compile/passes/in-place.ts";
import { joinMasks } from "../../../src/compile/passes/join-masks.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { recomputeCheap } from "../../../src/compile/passes/recompute.ts";
import { newBuilder } from "../../../src/compile/registry.ts";
import { type Graph, subbyteDomain } from "../../../src/ir/graph.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { relu } from "../../../src/ops/families/activations.ts";
import { multiply } from "../../../src/ops/families/elementwise.ts";
import { dot } from "../../../src/ops/internal/channel-ops.ts";
import { insideLimits } from "../../../src/ops/internal/inside-limits.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { expectSameNumbers, printWithoutSpecs } from "../../support/graphs/same-numbers.ts";
import { seededParameters } from "../../support/random.ts";

const float32 = "float32" as const;

describe("sums of products over a convolution's input", () => {
  /** dX and dW of a convolution, and Σ dX·X. */
  function gradients(): Graph {
    const b = newBuilder("dot");
    const dz = b.input("dz", { dtype: float32, shape: [1, 2, 4, 4] });
    const x = b.input("x", { dtype: float32, shape: [1, 2, 4, 4] });
    const w = b.input("w", { dtype: float32, shape: [2, 2, 1, 1] });
    const geometry = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 };
    const domain = { domain: subbyteDomain };
    const dx = b.one("ConvGradInput", [dz, w], { ...geometry, shape: x.type.shape }, { ...domain, name: "dx" });
    b.output("dw", b.one("ConvGradWeight", [dz, x], { ...geometry, shape: w.type.shape }, { ...domain, name: "dw" }));
    b.output("sum", dot(b, dx, x));
    return b.finish();
  }

  it("are taken over the weights, up to the order of the sum", async () => {
    expect(printGraph(gradients())).toMatchInlineSnapshot(`
      "graph "dot"
        input %dz: float32[1,2,4,4]
        input %x: float32[1,2,4,4]
        input %w: float32[2,2,1,1]
        %0: float32[1,2,4,4] = subbyte:ConvGradInput(%dz, %w) {dilations=[1,1], group=1, pads=[0,0,0,0], shape=[1,2,4,4], strides=[1,1]}  // dx
        %1: float32[2,2,1,1] = subbyte:ConvGradWeight(%dz, %x) {dilations=[1,1], group=1, pads=[0,0,0,0], shape=[2,2,1,1], strides=[1,1]}  // dw
        %2: float32[] = subbyte:Dot(%0, %x)  // Dot_2
        output dw = %1
        output sum = %2"
    `);
    expect(printGraph(shortenDots(gradients()))).toMatchInlineSnapshot(`
      "graph "dot"
        input %dz: float32[1,2,4,4]
        input %x: float32[1,2,4,4]
        input %w: float32[2,2,1,1]
        %0: float32[1,2,4,4] = subbyte:ConvGradInput(%dz, %w) {dilations=[1,1], group=1, pads=[0,0,0,0], shape=[1,2,4,4], strides=[1,1]}  // dx
        %1: float32[2,2,1,1] = subbyte:ConvGradWeight(%dz, %x) {dilations=[1,1], group=1, pads=[0,0,0,0], shape=[2,2,1,1], strides=[1,1]}  // dw
        %2: float32[] = subbyte:Dot(%1, %w)  // Dot_2
        output dw = %1
        output sum = %2"
    `);
    await expectSameNumbers(gradients(), shortenDots(gradients()), 3, 1e-6);
  });
});

describe("two masks of one tensor", () => {
  function maskedTwice(): Graph {
    const b = newBuilder("masks");
    const dy = b.input("dy", { dtype: float32, shape: [4] });
    const y = relu(b, b.input("x", { dtype: float32, shape: [4] }));
    const first = multiply(b, dy, insideLimits(b, y, { positive: false, upper: 1 }));
    b.output("dx", multiply(b, first, insideLimits(b, y, { positive: true })));
    return b.finish();
  }

  it("become one, with the same bits", async () => {
    expect(printGraph(maskedTwice())).toMatchInlineSnapshot(`
      "graph "masks"
        input %dy: float32[4]
        input %x: float32[4]
        %0: float32[4] = Relu(%x)  // Relu_0
        %1: float32[4] = subbyte:InsideLimits(%0, 1.0) {positive=0}  // InsideLimits_1
        %2: float32[4] = Mul(%dy, %1)  // Mul_2
        %3: float32[4] = subbyte:InsideLimits(%0) {positive=1}  // InsideLimits_3
        %4: float32[4] = Mul(%2, %3)  // Mul_4
        output dx = %4"
    `);
    expect(printGraph(joinMasks(maskedTwice()))).toMatchInlineSnapshot(`
      "graph "masks"
        input %dy: float32[4]
        input %x: float32[4]
        %0: float32[4] = Relu(%x)  // Relu_0
        %1: float32[4] = subbyte:InsideLimits(%0, 1.0) {positive=1}  // Mul_2/InsideLimits_2
        %2: float32[4] = Mul(%dy, %1)  // Mul_2/Mul_3
        output dx = %2"
    `);
    await expectSameNumbers(maskedTwice(), joinMasks(maskedTwice()), 5);
  });
});

describe("cheap values", () => {
  function step(): Graph {
    const b = newBuilder("step");
    const x = b.input("x", { dtype: float32, shape: [128, 128] });
    const held = b.one("Tanh", [x], {}, { name: "held" });
    const cheap = b.one("Relu", [held], {}, { name: "cheap" });
    const loss = b.one("Exp", [cheap], {}, { name: "loss" });
    const gradient = b.from({ origin: { phase: "backward" } }, () =>
      b.one("Mul", [b.one("Mul", [loss, cheap], {}, { name: "first" }), held], {}, { name: "second" }),
    );
    b.output("gradient", gradient);
    return b.finish();
  }

  it("are computed again in the backward pass, with the same bits", async () => {
    expect(printGraph(step())).toMatchInlineSnapshot(`
      "graph "step"
        input %x: float32[128,128]
        %0: float32[128,128] = Tanh(%x)  // held
        %1: float32[128,128] = Relu(%0)  // cheap
        %2: float32[128,128] = Exp(%1)  // loss
        %3: float32[128,128] = Mul(%2, %1)  // first
        %4: float32[128,128] = Mul(%3, %0)  // second
        output gradient = %4"
    `);
    expect(printGraph(recomputeCheap(step()))).toMatchInlineSnapshot(`
      "graph "step"
        input %x: float32[128,128]
        %0: float32[128,128] = Tanh(%x)  // held
        %1: float32[128,128] = Relu(%0)  // cheap
        %2: float32[128,128] = Exp(%1)  // loss
        %3: float32[128,128] = Relu(%0)  // cheap/recomputed
        %4: float32[128,128] = Mul(%2, %3)  // first
        %5: float32[128,128] = Mul(%4, %0)  // second
        output gradient = %5"
    `);
    await expectSameNumbers(step(), recomputeCheap(step()), 2);
  });
});

describe("updates in place", () => {
  function step(late: boolean): Graph {
    const b = newBuilder("update");
    const w = b.input("w", { dtype: float32, shape: [64, 64] });
    const x = b.input("x", { dtype: float32, shape: [64, 64] });
    const product = b.one("MatMul", [x, w], {}, { name: "reader" });
    b.output("next.w", b.one("Sub", [w, late ? x : product], {}, { name: "update" }));
    b.output("product", product);
    return b.finish();
  }

  it("are those whose every other reader comes before", () => {
    expect(printGraph(step(false))).toMatchInlineSnapshot(`
      "graph "update"
        input %w: float32[64,64]
        input %x: float32[64,64]
        %0: float32[64,64] = MatMul(%x, %w)  // reader
        %1: float32[64,64] = Sub(%w, %0)  // update
        output next.w = %1
        output product = %0"
    `);
    expect(updatesInPlace(step(false)).map(({ present }) => present.name)).toEqual(["w"]);
    expect(updatesInPlace(step(true))).toEqual([]);
  });
});

describe("quantization", () => {
  it("puts a quantizer before each layer's input and weight", () => {
    const builder = new NetworkBuilder("layer", seededParameters(1));
    const hidden = builder.builder.one("Relu", [builder.linear("fc1", builder.input("data", [4]), 3)]);
    const network = builder.finish(builder.linear("fc2", hidden, 2));
    const quantized = quantize(network, presetNamed("lsq", { weightBits: 4, activationBits: 4 }));
    expect(printGraph(network.graph)).toMatchInlineSnapshot(`
      "graph "layer"
        input %data: float32[1,4]
        input %fc1.weight: float32[3,4]
        input %fc1.bias: float32[3]
        input %fc2.weight: float32[2,3]
        input %fc2.bias: float32[2]
        %0: float32[1,3] = Gemm(%data, %fc1.weight, %fc1.bias) {transA=0, transB=1}  // fc1
        %1: float32[1,3] = Relu(%0)  // Relu_1
        %2: float32[1,2] = Gemm(%1, %fc2.weight, %fc2.bias) {transA=0, transB=1}  // fc2
        output logits = %2"
    `);
    expect(printWithoutSpecs(quantized.graph)).toMatchInlineSnapshot(`
      "graph "layer"
        input %data: float32[1,4]
        input %fc1.weight: float32[3,4]
        input %fc1.bias: float32[3]
        input %fc2.weight: float32[2,3]
        input %fc2.bias: float32[2]
        input %fc1.input.quantizer.scale: float32[]
        input %fc1.weight.quantizer.scale: float32[3]
        input %fc2.input.quantizer.scale: float32[]
        input %fc2.weight.quantizer.scale: float32[2]
        %0: float32[1,4] = subbyte:FakeQuantize(%data, %fc1.input.quantizer.scale)  // fc1.input.quantizer
        %1: float32[3,4] = subbyte:FakeQuantize(%fc1.weight, %fc1.weight.quantizer.scale)  // fc1.weight.quantizer
        %2: float32[1,3] = Gemm(%0, %1, %fc1.bias) {transA=0, transB=1}  // fc1
        %3: float32[1,3] = Relu(%2)  // Relu_1
        %4: float32[1,3] = subbyte:FakeQuantize(%3, %fc2.input.quantizer.scale)  // fc2.input.quantizer
        %5: float32[2,3] = subbyte:FakeQuantize(%fc2.weight, %fc2.weight.quantizer.scale)  // fc2.weight.quantizer
        %6: float32[1,2] = Gemm(%4, %5, %fc2.bias) {transA=0, transB=1}  // fc2
        output logits = %6"
    `);
  });
});
