/** The support for each operator, as docs/OPS.md shows it: derived from the registries, never written by hand. */

import { isLayer } from "../../../src/compile/layers.ts";
import { operators } from "../../../src/compile/registry.ts";
import { onnxDomain } from "../../../src/ir/graph.ts";
import { noGradient } from "../../../src/ops/build/operands.ts";
import { type FileOperator, type OperatorDefinition, operatorKey } from "../../../src/ops/definition.ts";
import { fileOperators } from "../../../src/ops/file-operators.ts";

/** A row of docs/OPS.md. */
export interface OperatorRow {
  /** `Conv`, or `com.microsoft:Gelu` outside of the standard domain. */
  readonly key: string;
  /** The form in which a file's node is read: as it is, with old versions rewritten, as other operators, or not kept. */
  readonly import: "as it is" | "rewritten" | "as others" | "computed" | "quantizer";
  /** "flat": it has none, as its output does not move with its input or is whole numbers. */
  readonly gradient: "yes" | "flat" | "no" | "parts";
  /** Whether its weights and inputs can get quantizers of their own. */
  readonly quantizable: boolean;
  /** "own form": the CPU has one for it; "blocked": it runs on tensors that stay blocked between convolutions. */
  readonly cpu: "own form" | "blocked" | "engine";
  readonly generic: "engine" | "lowered";
}

/** Every operator that the importer reads, in the order of the alphabet. */
export function importedOperators(): OperatorRow[] {
  const standard = [...operators.values()].filter(({ domain }) => domain === onnxDomain);
  return [...standard.map(rowOfDefinition), ...[...fileOperators.values()].map(rowOf)].sort((a, b) =>
    a.key < b.key ? -1 : 1,
  );
}

const gradientOfReading = { computed: "flat", quantizer: "yes", "as others": "parts", rewritten: "parts" } as const;

function rowOf({ domain, op, reading }: FileOperator): OperatorRow {
  const gradient = gradientOfReading[reading];
  const key = operatorKey(domain, op);
  return { key, import: reading, gradient, quantizable: false, cpu: "engine", generic: "engine" };
}

function rowOfDefinition(definition: OperatorDefinition): OperatorRow {
  const { op, domain, reading, upgrades, gradient, lower, blocked } = definition;
  const ownGradient = gradient === undefined ? "no" : gradient === noGradient ? "flat" : "yes";
  return {
    key: operatorKey(domain, op),
    import: reading ?? (upgrades === undefined ? "as it is" : "rewritten"),
    gradient: reading === undefined ? ownGradient : gradientOfReading[reading],
    quantizable: isLayer(definition),
    cpu: blocked === undefined ? "engine" : blocked === "own" ? "own form" : "blocked",
    generic: lower === undefined ? "engine" : "lowered",
  };
}
