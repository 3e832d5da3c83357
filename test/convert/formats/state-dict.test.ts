/**
 * The state dict: what it holds; and, where SUBBYTE_TORCH_PYTHON names a Python with the packages torch and safetensors, that
 * torch computes the simulation's logits from it.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildEvaluation } from "../../../src/compile/build/evaluation.ts";
import { convert } from "../../../src/convert/convert.ts";
import { stateDictFormat } from "../../../src/convert/formats/state-dict.ts";
import { withParameterValues } from "../../../src/ir/network.ts";
import { float32Data, float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { decodeSafetensors } from "../../../src/runs/safetensors.ts";
import { ForwardJob } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";
import { quantizedWith } from "../../support/convert/random/network.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const shape = [2, 5, 6];
const samples = 3;

async function small(bits: number) {
  const random = seeded(3);
  const builder = new NetworkBuilder("small", { uniform: random, normal: () => random() - 0.5 });
  const x = builder.conv("conv", builder.input("images", shape), 4, { kernel: 3, padding: 1, bias: true });
  const flat = builder.builder.one("Flatten", [builder.builder.one("Relu", [x])], { axis: 1 });
  const data = randomTensor(seeded(4), [samples, ...shape], { low: -2, high: 2 });
  const config = presetNamed("lsq", { weightBits: bits, activationBits: bits });
  const inside = { ...config, firstLayer: "same", lastLayer: "same" } as const;
  const quantized = await quantizedWith(builder.finish(builder.linear("fc", flat, 3)), inside, data);
  return { data, quantized };
}

async function simulated(network: Awaited<ReturnType<typeof small>>["quantized"], data: Tensor): Promise<Float32Array> {
  const evaluation = buildEvaluation(network, { batchSize: samples, input: { dtype: "float32" } });
  const job = await ForwardJob.create(nodeEngine({ threads: 1 }), evaluation);
  const state = new StateBuffers(evaluation.state.map(({ name, initial }) => [name, initial] as const));
  const [logits] = Object.values(await job.run(state, data));
  await job.release();
  return float32Data(logits ?? data).slice();
}

function write(folder: string, source: Awaited<ReturnType<typeof small>>["quantized"]): Uint8Array {
  const network = convert(source, { input: { dtype: "float32" } });
  const options = { batchSize: 1, arithmetic: "float", packed: true } as const;
  let safetensors = new Uint8Array();
  for (const { name, parts } of stateDictFormat.files(network, options, source)) {
    const bytes = Buffer.concat(parts);
    if (name.endsWith(".safetensors")) safetensors = new Uint8Array(bytes);
    writeFileSync(join(folder, name), bytes);
  }
  return safetensors;
}

describe("a state dict", () => {
  it("has the quantizer's codes also of a channel that the conversion made a constant", async () => {
    const { quantized } = await small(4);
    // So low a bias that the ReLU leaves nothing of the first channel: its weights have no effect, and convert drops them.
    const values = quantized.parameters.map(({ name, value }): [string, Tensor] => [
      name,
      name === "conv.bias" ? float32Tensor(value.shape, [-1e3, 0, 0, 0]) : value,
    ]);
    const source = { ...withParameterValues(quantized, new Map(values)), sites: quantized.sites };
    const folder = mkdtempSync(join(tmpdir(), "subbyte-state-dict-"));
    const { tensors } = decodeSafetensors(write(folder, source), "state dict");
    rmSync(folder, { recursive: true });
    const codes = tensors.get("conv.weight.codes");
    expect(codes).toMatchObject({ dtype: "int8", shape: [4, 2, 3, 3] });
    expect(
      Array.from(codes?.data ?? [], Number)
        .slice(0, 18)
        .some((code) => code !== 0),
    ).toBe(true);
  });

  const python = process.env.SUBBYTE_TORCH_PYTHON;
  it.skipIf(python === undefined).each([8, 4, 2])("gives torch the simulation's logits: %i bits", async (bits) => {
    const { data, quantized } = await small(bits);
    const folder = mkdtempSync(join(tmpdir(), "subbyte-state-dict-"));
    write(folder, quantized);
    writeFileSync(join(folder, "case.json"), JSON.stringify({ shape, data: Array.from(float32Data(data)) }));
    const script = new URL("../../conformance/state-dict-run.py", import.meta.url).pathname;
    const text = execFileSync(python ?? "", [script, folder], { stdio: ["ignore", "pipe", "pipe"] }).toString();
    rmSync(folder, { recursive: true });
    const logits: number[] = JSON.parse(text);
    const expected = await simulated(quantized, data);
    expect(logits).toHaveLength(expected.length);
    logits.forEach((logit, i) => {
      expect(Math.abs(logit - (expected[i] ?? 0))).toBeLessThan(1e-5);
    });
  });
});
