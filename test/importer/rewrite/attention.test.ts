/** The Attention operator in every form compared with its definition, written out in loops. */

import { describe, expect, it } from "vitest";
import { importOnnx } from "../../../src/importer/import.ts";
import { makeTensor, toNumbers } from "../../../src/ir/tensor.ts";
import { distance, outputsOf, sample } from "../../support/onnx/imported.ts";
import { type FileText, ints, type ModelAttribute, onnxModel } from "../../support/onnx/model.ts";

const [batch, heads, keyHeads, rows, columns, size] = [2, 4, 2, 3, 5, 4];

interface Rule {
  readonly past?: number;
  readonly cap?: number;
  /** Whether query i of sample b may see key j. */
  readonly sees?: (i: number, j: number, b: number) => boolean;
}

/** The result for the inputs that outputsOf feeds; heads of queries share those of keys. */
function defined({ past = 0, cap = 0, sees = () => true }: Rule): number[] {
  const total = past + columns;
  const at = (name: "q" | "k" | "v", b: number, h: number, i: number): number[] => {
    if (name === "q") return row(sample([batch, heads, rows, size]), (b * heads + h) * rows + i);
    const own = b * keyHeads + Math.floor(h / (heads / keyHeads));
    if (i < past) return row(sample([batch, keyHeads, past, size]), own * past + i);
    return row(sample([batch, keyHeads, columns, size]), own * columns + i - past);
  };
  const result: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < rows; i++) {
        const keys = Array.from({ length: total }, (_, j) => j).filter((j) => sees(i, j, b));
        const weights = keys.map((j) => {
          const score = dot(at("q", b, h, i), at("k", b, h, j)) / Math.sqrt(size);
          return Math.exp(cap === 0 ? score : cap * Math.tanh(score / cap));
        });
        const sum = weights.reduce((a, weight) => a + weight, 0);
        const mean = (d: number) => keys.reduce((a, j, n) => a + (weights[n] ?? 0) * (at("v", b, h, j)[d] ?? 0), 0);
        for (let d = 0; d < size; d++) result.push(keys.length === 0 ? 0 : mean(d) / sum);
      }
    }
  }
  return result;
}

function row(tensor: ReturnType<typeof sample>, index: number): number[] {
  return toNumbers(tensor).slice(index * size, (index + 1) * size);
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

function file(attributes: Readonly<Record<string, ModelAttribute>> = {}, more: Partial<FileText> = {}): FileText {
  return {
    opset: 25,
    inputs: {
      q: [batch, heads, rows, size],
      k: [batch, keyHeads, columns, size],
      v: [batch, keyHeads, columns, size],
    },
    outputs: ["y"],
    nodes: [["Attention", ["q", "k", "v"], ["y"], attributes]],
    ...more,
  };
}

function masked(dtype: "bool" | "float32", sees: NonNullable<Rule["sees"]>): FileText {
  const flags = Array.from({ length: batch * rows * columns }, (_, n) =>
    sees(Math.floor(n / columns) % rows, n % columns, Math.floor(n / (rows * columns))),
  );
  const shape = [batch, 1, rows, columns];
  const mask =
    dtype === "bool"
      ? makeTensor("bool", shape, Uint8Array.from(flags, Number))
      : makeTensor(
          "float32",
          shape,
          Float32Array.from(flags, (flag) => (flag ? 0 : -Infinity)),
        );
  return file({}, { nodes: [["Attention", ["q", "k", "v", "m"], ["y"]]], initializers: { m: mask } });
}

const someRows = (i: number, j: number) => i !== 1 && (i + j) % 2 === 0;
const lengths = [2, 4];
const withLengths: Partial<FileText> = {
  nodes: [["Attention", ["q", "k", "v", "", "", "", "n"], ["y"], { is_causal: 1, left_window_size: 2 }]],
  initializers: { n: ints(...lengths) },
};
const pastShape = [batch, keyHeads, 2, size];
const cached: Partial<FileText> = {
  inputs: { ...file().inputs, pk: pastShape, pv: pastShape },
  nodes: [["Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "key", "value"], { is_causal: 1 }]],
};

const cases: readonly (readonly [string, FileText, Rule])[] = [
  ["with heads that share keys", file(), {}],
  ["with a soft cap", file({ softcap: { float: 0.8 } }), { cap: 0.8 }],
  ["that sees no later key", file({ is_causal: 1 }), { sees: (i, j) => j <= i }],
  ["in a window", file({ left_window_size: 1, right_window_size: 2 }), { sees: (i, j) => j >= i - 1 && j <= i + 2 }],
  ["with a mask of truth values, where a query sees no key", masked("bool", someRows), { sees: someRows }],
  ["with a mask that is added, where a query sees no key", masked("float32", someRows), { sees: someRows }],
  ["after a cache", file({}, cached), { past: 2, sees: (i, j) => j <= i + 2 }],
  [
    "in a window of samples with padding, where queries see no key",
    file({}, withLengths),
    {
      sees: (i, j, b) => {
        const place = i + (lengths[b] ?? 0) - rows;
        return j < (lengths[b] ?? 0) && j <= place && j >= place - 2;
      },
    },
  ],
];

describe("Attention", () => {
  it.each(cases)("%s", async (_, text, rule) => {
    const network = importOnnx(onnxModel(text), { keepBatch: true });
    expect(distance((await outputsOf(network)).y, defined(rule))).toBeLessThan(1e-5);
  });

  it("returns its cache, and the scores of each stage", async () => {
    const all = (mode: number) =>
      file(
        {},
        {
          ...cached,
          outputs: ["y", "key", "scores"],
          nodes: [
            [
              "Attention",
              ["q", "k", "v", "", "pk", "pv"],
              ["y", "key", "value", "scores"],
              { is_causal: 1, softcap: { float: 0.5 }, qk_matmul_output_mode: mode },
            ],
          ],
        },
      );
    const run = (mode: number) => outputsOf(importOnnx(onnxModel(all(mode)), { keepBatch: true }));
    const [raw, capped, biased, probabilities] = await Promise.all([0, 1, 2, 3].map(run));
    expect(raw?.key).toHaveLength(batch * keyHeads * (2 + columns) * size);
    const cap = (score: number) => 0.5 * Math.tanh(score / 0.5);
    expect(distance(capped?.scores, raw?.scores?.map(cap))).toBeLessThan(1e-6);
    expect(biased?.scores?.slice(0, 4)).toEqual([...(capped?.scores?.slice(0, 3) ?? []), -Infinity]);
    const sum = probabilities?.scores?.slice(0, 2 + columns).reduce((a, b) => a + b, 0);
    expect(sum).toBeCloseTo(1, 6);
  });

  it("costs nothing for queries without keys where there are none", () => {
    const { graph } = importOnnx(onnxModel(file({ is_causal: 1 })), { keepBatch: true });
    const ops = graph.nodes.map(({ op }) => op);
    expect(ops.filter((op) => op !== "Reshape" && op !== "Expand")).toEqual([
      "Transpose",
      "Mul",
      "MatMul",
      "Add",
      "Softmax",
      "MatMul",
    ]);
  });

  it("with heads that do not divide is refused", () => {
    const inputs = { ...file().inputs, q: [batch, 3, rows, size] };
    expect(() => importOnnx(onnxModel(file({}, { inputs })))).toThrow(/3 heads of queries and 2 of keys/);
  });
});
