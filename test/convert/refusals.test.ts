/** Unsupported operators are refused by name, never silently left in float. */
import { describe, expect, it } from "vitest";
import { quantize } from "../../src/compile/passes/quantize.ts";
import type { QuantizedNetwork } from "../../src/compile/sites.ts";
import { convert } from "../../src/convert/convert.ts";
import { containerOf } from "../../src/convert/formats/containers.ts";
import { buildIntGraph } from "../../src/convert/formats/int/int.ts";
import { onnxRunner } from "../../src/convert/formats/run-onnx.ts";
import type { IntegerTensor } from "../../src/convert/integer-network.ts";
import { interpret } from "../../src/convert/interpreter/interpret.ts";
import { verify } from "../../src/convert/prove/verify.ts";
import { UnsupportedError } from "../../src/errors.ts";
import type { Network } from "../../src/ir/network.ts";
import { float32Data, float32Tensor } from "../../src/ir/tensor.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import type { QuantizationConfig } from "../../src/qconfig/config.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { datasetOf } from "../support/convert/agreement.ts";
import { randomTensor, seeded } from "../support/random.ts";

const input = { dtype: "float32" } as const;
const lsq = presetNamed("lsq", { weightBits: 4, activationBits: 4 });

/** conv → `between` → fc. */
function network(between: "Relu" | "LRN" | "Tanh", channels = 3): Network {
  const random = seeded(1);
  const builder = new NetworkBuilder("small", { uniform: random, normal: () => random() - 0.5 });
  const x = builder.conv("conv", builder.input("images", [channels, 4, 4]), 2, { kernel: 3, bias: true });
  const y = builder.builder.one(between, [x], {}, { name: "between" });
  return builder.finish(builder.linear("fc", builder.builder.one("Flatten", [y], { axis: 1 }), 2));
}

function quantized(config: QuantizationConfig, between: "Relu" | "LRN" | "Tanh" = "Relu"): QuantizedNetwork {
  return quantize(network(between), config);
}

function refusal(action: () => unknown): UnsupportedError {
  try {
    action();
  } catch (error) {
    if (error instanceof UnsupportedError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

function withScale(source: QuantizedNetwork, name: string, value: number): QuantizedNetwork {
  const parameters = source.parameters.map((each) =>
    each.name === name
      ? { ...each, value: float32Tensor(each.value.shape, new Float32Array(each.value.data.length).fill(value)) }
      : each,
  );
  return { ...source, parameters };
}

describe("convert refuses", () => {
  it("a network without quantizers", () => {
    expect(refusal(() => convert(network("Relu"), { input })).message).toMatch("no quantizers");
  });

  it("an operator without integer form, by name", () => {
    const error = refusal(() => convert(quantized(lsq, "LRN"), { input }));
    expect(error.where).toBe('node LRN "between"');
    expect(error.remedy).toMatch("stay in float");
  });

  it("a product of activations whose codes are too many for exact sums", () => {
    const random = seeded(1);
    const builder = new NetworkBuilder("product", { uniform: random, normal: () => random() - 0.5 });
    const images = builder.input("images", [1, 4, 4]);
    const [a, b] = ["a", "b"].map((name) => builder.conv(name, images, 2, { kernel: 3 }));
    if (a === undefined || b === undefined) throw new Error("there are no convolutions");
    const product = builder.builder.one("Mul", [a, b], {}, { name: "product" });
    const flat = builder.builder.one("Flatten", [product], { axis: 1 });
    const float = builder.finish(builder.linear("fc", flat, 2));
    const wide = quantize(float, { ...lsq, residualBits: 16 });
    const error = refusal(() => convert(wide, { input }));
    expect(error.where).toBe('node Mul "product"');
    expect(error.message).toMatch("2^24");
  });

  it("a layer that stays in float, by name", () => {
    expect(refusal(() => convert(quantized({ ...lsq, lastLayer: "float" }), { input })).where).toBe('node Gemm "fc"');
    expect(refusal(() => convert(quantized({ ...lsq, firstLayer: "float" }), { input })).where).toBe(
      'node Conv "conv"',
    );
    expect(refusal(() => convert(quantized({ ...lsq, activation: null }), { input })).message).toMatch("input");
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("a scale of %s", (scale) => {
    const broken = withScale(quantized(lsq), "conv.input.quantizer.scale", scale);
    const error = refusal(() => convert(broken, { input }));
    expect(error.where).toBe('quantizer "conv.input.quantizer"');
    expect(error.message).toMatch("scale");
  });

  it("weights whose grid has an offset, on which 0 is no code", () => {
    const weight = { quantizer: "lsq+", bits: 4, signed: true, granularity: "channel", options: {} } as const;
    const source = quantized({ ...lsq, weight });
    const offset = source.parameters.find(({ name }) => name.endsWith(".offset"))?.name ?? "";
    const error = refusal(() => convert(withScale(source, offset, 0.3), { input }));
    expect(error.where).toBe(`quantizer "${offset.replace(/\.offset$/, "")}"`);
    expect(error.message).toMatch("offset");
  });

  it("an accumulator that could pass 2^31", () => {
    const wide = { weightBits: 16, activationBits: 16 };
    const source = quantized({ ...lsq, firstLayer: wide, lastLayer: wide });
    const error = refusal(() => convert(withScale(source, "conv.weight.quantizer.scale", 1e-6), { input }));
    expect(error.message).toMatch("int32");
    expect(error.where).toMatch(/conv|between/);
  });

  it("no accumulator that passes 2^24: the simulation is widened, says so, and stays exact", async () => {
    const random = seeded(2);
    const builder = new NetworkBuilder("large", { uniform: random, normal: () => random() + 0.5 });
    const x = builder.conv("conv", builder.input("images", [3, 16, 16]), 16, { kernel: 1 });
    const flat = builder.builder.one("Flatten", [builder.builder.one("Relu", [x])], { axis: 1 });
    const config = presetNamed("lsq", { weightBits: 8, activationBits: 8 });
    const values = [
      ["conv.weight", 0.5],
      ["conv.input.quantizer.scale", 0.01],
      ["fc.input.quantizer.scale", 0.01],
      ["fc.weight", 0.127],
      ["fc.weight.quantizer.scale", 1e-3],
    ] as const;
    const source = values.reduce(
      (network, [name, value]) => withScale(network, name, value),
      quantize(builder.finish(builder.linear("fc", flat, 2)), config),
    );
    const converted = convert(source, { input });
    expect(converted.notes).toMatchObject([{ kind: "widened simulation", where: "fc" }]);
    expect(converted.notes[0]?.message).toMatch("above 2^24");
    const dataset = datasetOf(randomTensor(seeded(3), [40, 3, 16, 16], { low: 0, high: 2 }));
    const engine = nodeEngine({ threads: 1 });
    const graph = buildIntGraph(converted, { batchSize: 40, codes: true });
    const offsetOf = ({ form, name }: IntegerTensor) => containerOf(form, name).offset;
    const runner = await onnxRunner("int", converted, graph, engine, offsetOf);
    const { programs } = await verify(converted, dataset, engine, { batchSize: 40, runners: [runner] });
    await runner.release();
    expect(programs.map(({ first }) => first)).toEqual([undefined, undefined]);
    const sums = converted.operations.findIndex(({ op }) => op === "IntegerGemm");
    const results = interpret(
      converted,
      float32Data(randomTensor(seeded(3), [40, 3, 16, 16], { low: 0, high: 2 })).subarray(0, 768),
    );
    const odd = results[sums]?.some((sum) => Math.abs(sum) > 2 ** 24 && sum % 2 !== 0);
    expect(odd, "no sum that float32 would round").toBe(true);
  });

  it("activations above eight bits in the int format", () => {
    const config = { ...lsq, firstLayer: { weightBits: 4, activationBits: 10 } };
    const converted = convert(quantized(config), { input });
    expect(refusal(() => buildIntGraph(converted, { batchSize: 1 })).message).toMatch("eight bits");
  });
});
