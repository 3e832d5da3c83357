/** docs/OPS.md says what the registries say. */

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { operatorTable } from "../support/onnx/operator-document.ts";
import { importedOperators } from "../support/onnx/operator-table.ts";

it("docs/OPS.md is up to date: npx tsx scripts/write-ops-table.ts", () => {
  expect(readFileSync(new URL("../../docs/OPS.md", import.meta.url), "utf8")).toBe(operatorTable());
});

it("holds the operators that the issue asks gradients of", () => {
  const rows = new Map(importedOperators().map((row) => [row.key, row]));
  const asked =
    "Conv ConvTranspose LayerNormalization GroupNormalization InstanceNormalization Gelu Erf Tanh Swish Mish PRelu " +
    "LeakyRelu HardSigmoid Resize Split Gather Squeeze Unsqueeze Expand Where Pow Sqrt Exp Log Einsum ReduceMax Attention " +
    "LSTM GRU RNN";
  const without = asked.split(" ").filter((op) => !["yes", "parts"].includes(rows.get(op)?.gradient ?? "no"));
  expect(without).toEqual([]);
});
