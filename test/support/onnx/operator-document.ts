/** The text of docs/OPS.md. */

import { operators } from "../../../src/compile/registry.ts";
import { integerRules } from "../../../src/convert/rules/rules.ts";
import type { OperatorDefinition } from "../../../src/ops/definition.ts";
import { importedOperators, type OperatorRow } from "./operator-table.ts";

/** The newest version that the records were read against. */
const newestOpset = 28;

/** Cases of two versions of ONNX's node tests that pass; test/conformance/onnx-backend.test.ts runs and counts them. */
const passing = { debian: 707, newest: 1295 };

const head = `# Operators

Written by \`npx tsx scripts/write-ops-table.ts\`; a test holds that it is up to date.

subbyte reads ONNX models of opset 7 to ${newestOpset}. Of ONNX's node tests
${passing.debian} cases of onnx 1.12 and ${passing.newest} of onnx 1.23.2 (opsets up to 28) pass,
which are all cases of the operators below but those named, with the reason, in test/conformance/onnx-backend.test.ts.
float16, bfloat16 and float64 are read as float32.

- **import**: how a node of a file is read. "rewritten": old versions get their present form; "as others": it is taken
  apart; "computed": it is worked out while the file is read; "quantizer": it goes on as a quantizer.
- **gradient**: "flat": there is none to have, because the output is whole numbers or does not move; "parts": by the
  operators that it becomes; "no": parameters before it are held fast.
- **quantizable**: quantizers are put at its weight and its input.
- **integers**: \`convert\` has an integer form of it; "parts": where those of the operators that it becomes have one.
- **cpu**, **generic**: whether the target has a form of its own, or the engine runs the operator as it is. "blocked": on
  a CPU it runs on tensors that stay blocked between convolutions.

If is read where its condition is known, and a Loop where it is known how often it runs: it is written out. Scan,
sequences, optional values and texts are refused.

`;

/** Whether conversion has an integer form of an operator: a rule of its own, or the meaning that its record states. */
export function hasIntegerForm(definition: OperatorDefinition): boolean {
  return integerRules.has(definition) || definition.integers !== undefined;
}

/** What conversion makes of an operator: it is known after the importer, so the table gets it here. */
function integersOf({ key, gradient }: OperatorRow): string {
  if (gradient === "parts") return "parts";
  const definition = operators.get(key);
  return definition !== undefined && hasIntegerForm(definition) ? "yes" : "";
}

/** The whole document. */
export function operatorTable(rows: readonly OperatorRow[] = importedOperators()): string {
  const lines = rows.map((row) => {
    const { key, import: how, gradient, quantizable, cpu, generic } = row;
    return `| ${[key, how, gradient, quantizable ? "yes" : "", integersOf(row), cpu, generic].join(" | ")} |`;
  });
  const title =
    "| operator | import | gradient | quantizable | integers | cpu | generic |\n" +
    "| --- | --- | --- | --- | --- | --- | --- |\n";
  return `${head}${title}${lines.join("\n")}\n`;
}
