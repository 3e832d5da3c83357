/**
 * Files that PyTorch's two exporters wrote for small networks that use the size of their batch (vectors/exporters.py): for every
 * batch the outputs are torch's, and so are the gradients of all weights. EXPORTED=FILE reads another file of vectors.
 */

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { addForward, evaluationMode } from "../../../src/compile/build/forward.ts";
import { bindBatch } from "../../../src/compile/passes/bind-batch.ts";
import { differentiate } from "../../../src/compile/passes/differentiate.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import { dataInputs, type Network } from "../../../src/ir/network.ts";
import { float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { elementCount } from "../../../src/ir/types.ts";
import { multiply } from "../../../src/ops/families/elementwise.ts";
import { reduceSum } from "../../../src/ops/families/reduce.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { emit } from "../../../src/runtime/job.ts";
import { runFloats } from "../../support/onnx/imported.ts";

interface Case {
  readonly name: string;
  readonly shape: readonly number[];
  readonly inputs: readonly (readonly number[])[];
  /** For each batch the output, and the norms of the parameters' gradients in ascending order. */
  readonly results: readonly {
    readonly shape: readonly number[];
    readonly y: readonly number[];
    readonly gradients: readonly number[];
  }[];
  /** Gzip and base64, by exporter and opset. */
  readonly files: Readonly<Record<string, string>>;
}

const file = process.env.EXPORTED ?? new URL("../../conformance/vectors/exporters.json", import.meta.url);
const { batches, cases }: { readonly batches: readonly number[]; readonly cases: readonly Case[] } = JSON.parse(
  readFileSync(file, "utf8"),
);

/** The output and the gradients of Σ y·cos(i) for one batch. */
async function run(network: Network, batch: number, x: readonly number[]) {
  const bound = bindBatch(network, batch);
  const builder = newBuilder("step");
  const inputs = new Map(bound.graph.inputs.map((input) => [input.name, builder.input(input.name, input.type)]));
  const [y] = addForward(builder, bound, inputs, evaluationMode).outputs.values();
  const [data] = dataInputs(bound);
  if (y === undefined || data === undefined) throw new Error("no output or no input");
  const ramp = Float32Array.from({ length: elementCount(y.type.shape) }, (_, i) => Math.cos(i));
  const product = multiply(builder, y, builder.constant(float32Tensor(y.type.shape, ramp)));
  const loss = reduceSum(builder, product, undefined, { keepDimensions: false });
  const wanted = bound.parameters.flatMap(({ name, trainable }) => (trainable ? (inputs.get(name) ?? []) : []));
  const gradients = differentiate(builder, operators, builder.nodes, loss, wanted);
  builder.output("y", y);
  for (const value of wanted) {
    const gradient = gradients.get(value);
    if (gradient !== undefined) builder.output(`grad.${value.name}`, gradient);
  }
  const feeds: Record<string, Tensor> = { [data.name]: float32Tensor(data.type.shape, x) };
  for (const { name, value } of bound.parameters) feeds[name] = value;
  const { y: output = [], ...others } = await runFloats(emit(builder.finish(), genericTarget), feeds);
  const norms = Object.values(others).map((numbers) => Math.hypot(...numbers));
  return { shape: y.type.shape, output, norms: norms.sort((a, b) => a - b) };
}

/** The largest difference, as a share of the largest number. */
function apart(ours: readonly number[], theirs: readonly number[]): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  const largest = Math.max(1e-3, ...theirs.map(Math.abs));
  return Math.max(0, ...ours.map((value, i) => Math.abs(value - (theirs[i] ?? Number.NaN)) / largest));
}

/**
 * The gradients of torch's that are missing. An exporter may store a weight in several pieces, and constants next to the weights:
 * then the root of the sum of some squares is torch's.
 */
function unmatched(ours: readonly number[], theirs: readonly number[]): readonly number[] {
  const limit = 2e-5 * Math.max(1e-3, ...theirs);
  const left = [...ours];
  const missing = theirs.filter((norm) => {
    const place = left.findIndex((own) => Math.abs(own - norm) < limit);
    if (place >= 0) left.splice(place, 1);
    return place < 0;
  });
  const sums = [0];
  for (const norm of left) sums.push(...sums.map((sum) => Math.hypot(sum, norm)));
  const whole = Math.hypot(...missing);
  return sums.some((sum) => Math.abs(sum - whole) < limit) ? [] : missing;
}

describe.each(cases)("$name", ({ inputs, results, files }) => {
  it.each(Object.keys(files))("%s: outputs and gradients are torch's for every batch", async (form) => {
    const network = importOnnx(gunzipSync(Buffer.from(files[form] ?? "", "base64")));
    expect(network.imported.batch).toBe("any");
    expect([...network.imported.held]).toEqual([]);
    for (const [i, batch] of batches.entries()) {
      const expected = results[i] ?? { shape: [], y: [], gradients: [] };
      const { shape, output, norms } = await run(network, batch, inputs[i] ?? []);
      expect(shape).toEqual(expected.shape);
      expect(apart(output, expected.y)).toBeLessThan(1e-5);
      expect(unmatched(norms, expected.gradients)).toEqual([]);
    }
  });
});
