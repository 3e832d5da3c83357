/** Files of scikit-learn's converter (vectors/sklearn.py): the scores are scikit-learn's, and all of them can be trained. */

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { bindBatch } from "../../../src/compile/passes/bind-batch.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import { dataInputs } from "../../../src/ir/network.ts";
import { float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { emit } from "../../../src/runtime/job.ts";
import { runFloats } from "../../support/onnx/imported.ts";

interface Case {
  readonly name: string;
  readonly file: string;
  readonly y: readonly number[];
}

const { x, cases }: { readonly x: readonly number[]; readonly cases: readonly Case[] } = JSON.parse(
  readFileSync(new URL("../../conformance/vectors/sklearn.json", import.meta.url), "utf8"),
);
const samples = 5;

it.each(cases)("$name", async ({ file, y }) => {
  const network = importOnnx(gunzipSync(Buffer.from(file, "base64")));
  expect(network.imported.batch).toBe("any");
  expect([...network.imported.held]).toEqual([]);
  expect(network.graph.outputs).toHaveLength(1);
  expect(network.parameters.some(({ trainable, role }) => trainable && role === "weight")).toBe(true);
  for (const batch of [1, samples]) {
    const bound = bindBatch(network, batch);
    const [data] = dataInputs(bound);
    const feeds: Record<string, Tensor> = {};
    for (const { name, value } of bound.parameters) feeds[name] = value;
    if (data !== undefined) feeds[data.name] = float32Tensor(data.type.shape, x.slice(0, 8 * batch));
    const [scores = []] = Object.values(await runFloats(emit(bound.graph, genericTarget), feeds));
    expect(scores).toHaveLength((y.length * batch) / samples);
    scores.forEach((score, i) => {
      expect(Math.abs(score - (y[i] ?? Number.NaN))).toBeLessThan(1e-5 * Math.max(1, ...y.map(Math.abs)));
    });
  }
});
