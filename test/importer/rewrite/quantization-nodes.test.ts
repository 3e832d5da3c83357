/** Files that carry quantizers are quantized networks, which compute what the file computes. */

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import { describe, expect, it } from "vitest";
import { isQuantized } from "../../../src/compile/sites.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import { makeTensor, packBits, type Tensor, toNumbers } from "../../../src/ir/tensor.ts";
import { distance, fileOutputs, outputsOf } from "../../support/onnx/imported.ts";
import { type FileText, floats, onnxModel, ramp } from "../../support/onnx/model.ts";

function codes(dtype: "int8" | "uint8" | "int32", shape: readonly number[], values: readonly number[]): Tensor {
  const data =
    dtype === "int8" ? Int8Array.from(values) : dtype === "uint8" ? Uint8Array.from(values) : Int32Array.from(values);
  return makeTensor(dtype, shape, data);
}

const weight = codes("int8", [2, 3, 1], [-7, 3, 100, -128, 127, 5]);

/** x → Q → (Clip) → DQ → Conv with a weight and a bias of integers. */
function qdq(clipped: boolean): FileText {
  return {
    opset: 13,
    inputs: { x: ["N", 3, 4] },
    outputs: ["y"],
    nodes: [
      ["QuantizeLinear", ["x", "step", "offset"], ["q"]],
      ...(clipped ? ([["Clip", ["q", "low", "high"], ["c"]]] as const) : []),
      ["DequantizeLinear", [clipped ? "c" : "q", "step", "offset"], ["d"]],
      ["DequantizeLinear", ["conv.weight", "steps", "offsets"], ["w"], { axis: 0 }],
      ["DequantizeLinear", ["conv.bias", "step", "none"], ["b"]],
      ["Conv", ["d", "w", "b"], ["y"], { kernel_shape: [1] }],
    ],
    initializers: {
      step: floats([], [0.05]),
      offset: codes("uint8", [], [9]),
      low: codes("uint8", [], [2]),
      high: codes("uint8", [], [17]),
      "conv.weight": weight,
      steps: floats([2], [0.01, 0.02]),
      offsets: codes("int8", [2], [0, 0]),
      "conv.bias": codes("int32", [2], [-10, 30]),
      none: codes("int32", [], [0]),
    },
  };
}

function quant(signed: number, bits: number): FileText {
  const domain = "qonnx.custom_op.general";
  return {
    inputs: { x: ["N", 3, 4] },
    outputs: ["y"],
    nodes: [
      ["Quant", ["x", "s", "z", "bits"], ["q"], { signed, narrow: 0, rounding_mode: "ROUND" }, domain],
      ["Quant", ["weight", "ws", "z", "bits"], ["w"], { signed: 1, narrow: 1, rounding_mode: "ROUND" }, domain],
      ["Conv", ["q", "w"], ["y"], { kernel_shape: [1] }],
    ],
    initializers: {
      s: floats([], [0.25]),
      z: floats([], [0]),
      bits: floats([], [bits]),
      ws: floats([2, 1, 1], [0.1, 0.05]),
      weight: ramp(2, 3, 1),
    },
  };
}

describe("QuantizeLinear and DequantizeLinear", () => {
  it.each([false, true])("are quantizers of what lies between (with a Clip: %s)", async (clipped) => {
    const network = importOnnx(onnxModel(qdq(clipped)));
    expect(isQuantized(network)).toBe(true);
    expect(
      network.sites?.map(({ kind, spec }) => [kind, spec.bits, spec.quantMin, spec.quantMax, spec.channelAxis]),
    ).toEqual([
      clipped ? ["activation", 4, 2, 17, undefined] : ["activation", 8, 0, 255, undefined],
      ["weight", 8, -128, 127, 0],
    ]);
    expect(network.graph.nodes.map(({ op }) => op)).toEqual(["FakeQuantize", "FakeQuantize", "Conv"]);
    const roles = network.parameters.map(({ name, role, trainable }) => [name, role, trainable]);
    expect(roles).toContainEqual(["conv.weight", "weight", true]);
    expect(roles).toContainEqual(["conv.bias", "bias", true]);
    const expected = await fileOutputs(onnxModel(qdq(clipped)), { x: [2, 3, 4] });
    expect(distance((await outputsOf(network, 2)).y, expected.y)).toBeLessThan(1e-5);
  });
});

describe("QuantizeLinear and DequantizeLinear in ONNX Runtime's domain", () => {
  it("are those of the standard, as its quantizer writes 4-bit weights for old opsets", async () => {
    const domain = "com.microsoft";
    const int4 = makeTensor("int4", [2, 3, 1], packBits([-7, 3, 5, -8, 7, 1], "int4"));
    const { initializers, ...file } = qdq(false);
    const nodes: FileText["nodes"] = file.nodes.map(([op, inputs, outputs, attributes = {}]) => [
      op,
      inputs[0] === "conv.weight" ? inputs.slice(0, 2) : inputs,
      outputs,
      attributes,
      op === "Conv" ? "" : domain,
    ]);
    const bytes = onnxModel({ ...file, nodes, initializers: { ...initializers, "conv.weight": int4 } });
    const network = importOnnx(bytes);
    expect(network.sites?.map(({ kind, spec }) => [kind, spec.bits])).toEqual([
      ["activation", 8],
      ["weight", 4],
    ]);
    const expected = await fileOutputs(bytes, { x: [2, 3, 4] });
    expect(distance((await outputsOf(network, 2)).y, expected.y)).toBeLessThan(1e-5);
  });
});

describe("Quant of QONNX", () => {
  it.each([
    [1, 4, -8, 7],
    [0, 3, 0, 7],
  ])("is a quantizer (signed %d, %d bits)", async (signed, bits, low, high) => {
    const network = importOnnx(onnxModel(quant(signed, bits)));
    expect(network.sites?.map(({ kind, spec }) => [kind, spec.quantMin, spec.quantMax])).toEqual([
      ["activation", low, high],
      ["weight", -(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1],
    ]);
    const { y } = await outputsOf(network, 1);
    // Activations are quarters and weights twentieths, so every output is a whole number of 1/80.
    for (const value of y ?? []) expect(Math.abs(value * 80 - Math.round(value * 80))).toBeLessThan(1e-3);
  });

  it("is read without a version of its domain, as the qonnx package writes it", async () => {
    const bytes = onnxModel(quant(1, 4));
    const model = fromBinary(ModelProtoSchema, bytes);
    const opsetImport = model.opsetImport.filter(({ domain }) => domain === "");
    const network = importOnnx(toBinary(ModelProtoSchema, { ...model, opsetImport }));
    expect(await outputsOf(network, 1)).toEqual(await outputsOf(importOnnx(bytes), 1));
  });

  it("of 32 bits, as biases have it, leaves a bias at the steps that it had", () => {
    const text = quant(1, 4);
    const nodes: FileText["nodes"] = [
      ...text.nodes.slice(0, 2),
      ["Quant", ["bias", "bias.step", "z", "bias.bits"], ["b"], { signed: 1, narrow: 0 }, "qonnx.custom_op.general"],
      ["Conv", ["q", "w", "b"], ["y"], { kernel_shape: [1] }],
    ];
    const initializers = {
      ...text.initializers,
      bias: floats([2], [0.26, -0.37]),
      "bias.step": floats([2], [0.25, 0.125]),
      "bias.bits": floats([], [32]),
    };
    const network = importOnnx(onnxModel({ ...text, nodes, initializers }));
    const bias = network.parameters.find(({ name }) => name === "bias");
    expect([bias?.role, bias?.trainable]).toEqual(["bias", true]);
    expect(bias === undefined ? [] : toNumbers(bias.value)).toEqual([0.25, -0.375]);
    expect(network.sites).toHaveLength(2);
    expect(network.sites?.map((site) => Reflect.get(site, "name"))).toEqual(network.sites?.map(({ id }) => id));
    expect(network.imported.notes.join()).toContain("more than 16 bits");
  });

  it("with computed bits is refused by name", () => {
    const text = quant(1, 4);
    const nodes: FileText["nodes"] = [["ReduceMax", ["x"], ["bits"], { keepdims: 0 }], ...text.nodes];
    const { bits: _bits, ...initializers } = text.initializers ?? {};
    expect(() => importOnnx(onnxModel({ ...text, nodes, initializers }))).toThrow(
      "computes its scale, its zero point or its bits",
    );
  });
});

describe("BipolarQuant of QONNX", () => {
  it("is the binary quantizer times the scale", async () => {
    const network = importOnnx(
      onnxModel({
        inputs: { x: ["N", 3, 4] },
        outputs: ["y"],
        nodes: [["BipolarQuant", ["x", "s"], ["y"], {}, "qonnx.custom_op.general"]],
        initializers: { s: floats([], [0.25]) },
      }),
    );
    expect(new Set((await outputsOf(network, 2)).y)).toEqual(new Set([0.25, -0.25]));
  });
});
