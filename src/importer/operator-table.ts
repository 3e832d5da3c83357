/** What subbyte can do with each operator, as docs/OPS.md shows it: read off the registries, never written by hand. */

import { isLayer } from "../compile/layers.ts";
import { operators } from "../compile/registry.ts";
import { noGradient } from "../ops/build/operands.ts";
import { decomposedOperators } from "./rewrite/decompositions.ts";
import { upgradedOperators } from "./rewrite/upgrades.ts";

/** A row of docs/OPS.md. */
export interface OperatorRow {
  /** `Conv`, or `com.microsoft:Gelu` outside of the standard domain. */
  readonly key: string;
  /** How a file's node is read: as it is, with old versions rewritten, as other operators, or not kept. */
  readonly import: "as it is" | "rewritten" | "as others" | "computed" | "quantizer";
  /** "flat": it has none, as its output does not move with its input or is whole numbers. */
  readonly gradient: "yes" | "flat" | "no" | "parts";
  /** Whether its weights and inputs can get quantizers of their own. */
  readonly quantizable: boolean;
  /** Whether the CPU has a form of its own for it. */
  readonly cpu: "own form" | "engine";
  readonly generic: "engine" | "lowered";
}

/** Operators with a lowering that depends on the target. */
const cpuForms = new Set(["Conv", "BatchNormalization"]);
/** Read without being in the registry. */
const computed = ["Shape", "Size", "Constant", "If", "NonZero"];
const quantizers = [
  "QuantizeLinear",
  "DequantizeLinear",
  "qonnx.custom_op.general:Quant",
  "qonnx.custom_op.general:BipolarQuant",
];

/** Every operator that the importer reads, in the order of the alphabet. */
export function importedOperators(): OperatorRow[] {
  const rows = new Map<string, OperatorRow>();
  for (const definition of operators.values()) {
    if (definition.domain !== "") continue;
    const { op, gradient, lower } = definition;
    rows.set(op, {
      key: op,
      import: upgradedOperators.has(op) ? "rewritten" : "as it is",
      gradient: gradient === undefined ? "no" : gradient === noGradient ? "flat" : "yes",
      quantizable: isLayer(definition),
      cpu: cpuForms.has(op) ? "own form" : "engine",
      generic: lower === undefined || cpuForms.has(op) ? "engine" : "lowered",
    });
  }
  const other = { quantizable: false, cpu: "engine", generic: "engine" } as const;
  for (const key of upgradedOperators) {
    if (!rows.has(key)) rows.set(key, { key, import: "rewritten", gradient: "parts", ...other });
  }
  rows.set("GlobalMaxPool", { key: "GlobalMaxPool", import: "rewritten", gradient: "parts", ...other });
  for (const key of [...decomposedOperators, "Loop"])
    rows.set(key, { key, import: "as others", gradient: "parts", ...other });
  for (const key of computed) rows.set(key, { key, import: "computed", gradient: "flat", ...other });
  for (const key of quantizers) rows.set(key, { key, import: "quantizer", gradient: "yes", ...other });
  return [...rows.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}
