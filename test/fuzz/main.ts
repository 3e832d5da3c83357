/**
 * Fuzzes every reader: npm run test:fuzz -- --seed 1 --count 1000 [--format onnx] [--from 17]
 *
 * `--count` inputs are shared by the formats. Ends with 1 where an input met a defect, a limit, or files outside of its folder;
 * each such input is named, so that `--format NAME --from INDEX --count 1` with the same seed reads it again.
 */

import { parseArgs } from "node:util";
import { formats } from "./formats/index.ts";
import type { FuzzResult } from "./protocol.ts";
import { fuzz } from "./watch.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "1000" },
    from: { type: "string", default: "0" },
    format: { type: "string", multiple: true },
    verbose: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const chosen = formats.filter(({ name }) => values.format?.includes(name) ?? true);
if (chosen.length === 0) throw new Error(`the formats are ${formats.map(({ name }) => name).join(", ")}`);
const count = Math.ceil(Number(values.count) / chosen.length);

const columns = ["success", "refused", "defect", "hang", "memory"] as const;
const isProblem = ({ kind, outside, control }: FuzzResult) =>
  (kind !== "success" && kind !== "refused") || outside.length > 0 || control;

console.log(`| format | tried | ${columns.join(" | ")} | control characters | files outside | slowest |`);
console.log(`|---|${"---:|".repeat(columns.length + 4)}`);
let problems = 0;
const all = await fuzz({ formats: chosen.map(({ name }) => name), seed, from: Number(values.from), count });
for (const { name } of chosen) {
  const results = all.filter(({ format }) => format === name);
  const kinds = columns.map((kind) => results.filter((result) => result.kind === kind).length);
  const control = results.filter((result) => result.control).length;
  const outside = results.filter((result) => result.outside.length > 0).length;
  const slowest = Math.max(0, ...results.map(({ milliseconds }) => milliseconds));
  console.log(
    `| ${name} | ${results.length} | ${kinds.join(" | ")} | ${control} | ${outside} | ${slowest.toFixed(0)} ms |`,
  );
  for (const result of results) {
    if (isProblem(result)) problems++;
    if (!isProblem(result) && !values.verbose) continue;
    const shown = JSON.stringify([result.text.slice(0, 600), ...result.outside]);
    console.error(`${name} --seed ${seed} --from ${result.index} --count 1: ${result.kind} ${shown}`);
  }
}
process.exitCode = problems > 0 ? 1 : 0;
