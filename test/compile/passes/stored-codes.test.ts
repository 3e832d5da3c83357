/** Quantizers that an integer network needs and training did not put: where they stand, and that they are all that is new. */
import { describe, expect, it } from "vitest";
import { copyNodes, mapped, type ValueMap } from "../../../src/compile/passes/copy.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { addStoredQuantizers } from "../../../src/compile/passes/stored-codes.ts";
import { newBuilder } from "../../../src/compile/registry.ts";
import { ConfigError } from "../../../src/errors.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { dataInputs, type Network } from "../../../src/ir/network.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { globalAveragePool } from "../../../src/ops/families/pool.ts";
import { flatten } from "../../../src/ops/families/shape/shape-ops.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { isFakeQuantize } from "../../../src/quantizers/fake-quantize.ts";
import { printWithoutSpecs } from "../../support/graphs/same-numbers.ts";
import { seededParameters } from "../../support/random.ts";

function residualNetwork(): Network {
  const network = new NetworkBuilder("residual", seededParameters(1));
  const { builder } = network;
  const x = builder.one("Relu", [network.conv("conv1", network.input("images", [1, 4, 4]), 2, { kernel: 1 })]);
  const sum = network.add("add", network.conv("conv2", x, 2, { kernel: 1 }), x);
  const y = globalAveragePool(builder, builder.one("Relu", [sum]));
  return network.finish(network.linear("fc", flatten(builder, y), 3));
}

/** The graph with every quantizer replaced by what it reads, and without the quantizers' parameters. */
function withoutQuantizers({ graph, parameters }: Network): Graph {
  const builder = newBuilder(graph.name);
  const own = new Set(parameters.filter(({ role }) => role === "quantizer").map(({ name }) => name));
  const map: ValueMap = new Map(
    graph.inputs.filter(({ name }) => !own.has(name)).map((input) => [input, builder.input(input.name, input.type)]),
  );
  const bare = {
    ...graph,
    nodes: graph.nodes.map((node) => (isFakeQuantize(node) ? { ...node, inputs: node.inputs.slice(0, 1) } : node)),
  };
  copyNodes(bare, builder, map, (node, [x]) => (isFakeQuantize(node) ? [x] : undefined));
  for (const { name, value } of graph.outputs) builder.output(name, mapped(map, value));
  return builder.finish();
}

const config = presetNamed("lsq", { weightBits: 4, activationBits: 4 });

describe("quantizers of stored tensors", () => {
  it("stand at both branches of a residual addition and at what is averaged", () => {
    const quantized = quantize(residualNetwork(), config);
    const stored = addStoredQuantizers(quantized, 8);
    expect(printWithoutSpecs(quantized.graph)).toMatchInlineSnapshot(`
      "graph "residual"
        input %images: float32[1,1,4,4]
        input %conv1.weight: float32[2,1,1,1]
        input %conv2.weight: float32[2,2,1,1]
        input %fc.weight: float32[3,2]
        input %fc.bias: float32[3]
        input %conv1.input.quantizer.scale: float32[]
        input %conv1.weight.quantizer.scale: float32[2]
        input %conv2.input.quantizer.scale: float32[]
        input %conv2.weight.quantizer.scale: float32[2]
        input %fc.input.quantizer.scale: float32[]
        input %fc.weight.quantizer.scale: float32[3]
        %0: float32[1,1,4,4] = subbyte:FakeQuantize(%images, %conv1.input.quantizer.scale)  // conv1.input.quantizer
        %1: float32[2,1,1,1] = subbyte:FakeQuantize(%conv1.weight, %conv1.weight.quantizer.scale)  // conv1.weight.quantizer
        %2: float32[1,2,4,4] = Conv(%0, %1) {dilations=[1,1], group=1, kernel_shape=[1,1], pads=[0,0,0,0], strides=[1,1]}  // conv1
        %3: float32[1,2,4,4] = Relu(%2)  // Relu_1
        %4: float32[1,2,4,4] = subbyte:FakeQuantize(%3, %conv2.input.quantizer.scale)  // conv2.input.quantizer
        %5: float32[2,2,1,1] = subbyte:FakeQuantize(%conv2.weight, %conv2.weight.quantizer.scale)  // conv2.weight.quantizer
        %6: float32[1,2,4,4] = Conv(%4, %5) {dilations=[1,1], group=1, kernel_shape=[1,1], pads=[0,0,0,0], strides=[1,1]}  // conv2
        %7: float32[1,2,4,4] = Add(%6, %3)  // add
        %8: float32[1,2,4,4] = Relu(%7)  // Relu_4
        %9: float32[1,2,1,1] = GlobalAveragePool(%8)  // GlobalAveragePool_5
        %10: float32[1,2] = Flatten(%9) {axis=1}  // Flatten_6
        %11: float32[1,2] = subbyte:FakeQuantize(%10, %fc.input.quantizer.scale)  // fc.input.quantizer
        %12: float32[3,2] = subbyte:FakeQuantize(%fc.weight, %fc.weight.quantizer.scale)  // fc.weight.quantizer
        %13: float32[1,3] = Gemm(%11, %12, %fc.bias) {transA=0, transB=1}  // fc
        output logits = %13"
    `);
    expect(printWithoutSpecs(stored.graph)).toMatchInlineSnapshot(`
      "graph "residual"
        input %images: float32[1,1,4,4]
        input %conv1.weight: float32[2,1,1,1]
        input %conv2.weight: float32[2,2,1,1]
        input %fc.weight: float32[3,2]
        input %fc.bias: float32[3]
        input %conv1.input.quantizer.scale: float32[]
        input %conv1.weight.quantizer.scale: float32[2]
        input %conv2.input.quantizer.scale: float32[]
        input %conv2.weight.quantizer.scale: float32[2]
        input %fc.input.quantizer.scale: float32[]
        input %fc.weight.quantizer.scale: float32[3]
        input %add.branch.quantizer.scale: float32[]
        input %add.branch.quantizer.zero_point: float32[]
        input %add.skip.quantizer.scale: float32[]
        input %add.skip.quantizer.zero_point: float32[]
        input %GlobalAveragePool_5.input.quantizer.scale: float32[]
        input %GlobalAveragePool_5.input.quantizer.zero_point: float32[]
        %0: float32[1,1,4,4] = subbyte:FakeQuantize(%images, %conv1.input.quantizer.scale)  // conv1.input.quantizer
        %1: float32[2,1,1,1] = subbyte:FakeQuantize(%conv1.weight, %conv1.weight.quantizer.scale)  // conv1.weight.quantizer
        %2: float32[1,2,4,4] = Conv(%0, %1) {dilations=[1,1], group=1, kernel_shape=[1,1], pads=[0,0,0,0], strides=[1,1]}  // conv1
        %3: float32[1,2,4,4] = Relu(%2)  // Relu_1
        %4: float32[1,2,4,4] = subbyte:FakeQuantize(%3, %conv2.input.quantizer.scale)  // conv2.input.quantizer
        %5: float32[2,2,1,1] = subbyte:FakeQuantize(%conv2.weight, %conv2.weight.quantizer.scale)  // conv2.weight.quantizer
        %6: float32[1,2,4,4] = Conv(%4, %5) {dilations=[1,1], group=1, kernel_shape=[1,1], pads=[0,0,0,0], strides=[1,1]}  // conv2
        %7: float32[1,2,4,4] = subbyte:FakeQuantize(%6, %add.branch.quantizer.scale, %add.branch.quantizer.zero_point)  // add.branch.quantizer
        %8: float32[1,2,4,4] = subbyte:FakeQuantize(%3, %add.skip.quantizer.scale, %add.skip.quantizer.zero_point)  // add.skip.quantizer
        %9: float32[1,2,4,4] = Add(%7, %8)  // add
        %10: float32[1,2,4,4] = Relu(%9)  // Relu_4
        %11: float32[1,2,4,4] = subbyte:FakeQuantize(%10, %GlobalAveragePool_5.input.quantizer.scale, %GlobalAveragePool_5.input.quantizer.zero_point)  // GlobalAveragePool_5.input.quantizer
        %12: float32[1,2,1,1] = GlobalAveragePool(%11)  // GlobalAveragePool_5
        %13: float32[1,2] = Flatten(%12) {axis=1}  // Flatten_6
        %14: float32[1,2] = subbyte:FakeQuantize(%13, %fc.input.quantizer.scale)  // fc.input.quantizer
        %15: float32[3,2] = subbyte:FakeQuantize(%fc.weight, %fc.weight.quantizer.scale)  // fc.weight.quantizer
        %16: float32[1,3] = Gemm(%14, %15, %fc.bias) {transA=0, transB=1}  // fc
        output logits = %16"
    `);
  });

  it("are all that is new", () => {
    const network = residualNetwork();
    const quantized = quantize(network, config);
    const stored = addStoredQuantizers(quantized, 8);
    expect(stored.sites.length).toBeGreaterThan(quantized.sites.length);
    expect(quantized.sites.length).toBeGreaterThan(0);
    expect(printGraph(withoutQuantizers(quantized))).toBe(printGraph(network.graph));
    expect(printGraph(withoutQuantizers(stored))).toBe(printGraph(network.graph));
    expect(dataInputs(stored).map(({ name }) => name)).toEqual(["images"]);
  });

  it("are added once", () => {
    const once = addStoredQuantizers(quantize(residualNetwork(), config), 8);
    expect(addStoredQuantizers(once, 8).sites.map(({ id }) => id)).toEqual(once.sites.map(({ id }) => id));
  });

  it.each([1, 9, 2.5])("need a whole number of bits from 2 to 8: %d", (bits) => {
    expect(() => addStoredQuantizers(quantize(residualNetwork(), config), bits)).toThrow(ConfigError);
  });
});
