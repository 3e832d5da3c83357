/**
 * Perplexity of language models as ONNX files, whose input is int64[batch, tokens] and whose output the scores of the next token at each
 * place; and the megabytes of each.
 *
 *     npx tsx bench/perplexity.ts TOKENS LENGTH MODEL.onnx …      TOKENS: int64 in the machine's order, windows of LENGTH
 */

import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { formatTable } from "../src/cli/view/table.ts";

const [tokensFile = "", lengthText = "0", ...files] = process.argv.slice(2);
const length = Number(lengthText);
const bytes = readFileSync(tokensFile);
const tokens = new BigInt64Array(new Uint8Array(bytes).buffer);
const windows = Math.floor(tokens.length / length);

/** −ln of the share that a softmax over scores gives to one of them. */
function surprise(scores: Float32Array, start: number, count: number, chosen: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) largest = Math.max(largest, scores[start + i] ?? 0);
  let sum = 0;
  for (let i = 0; i < count; i++) sum += Math.exp((scores[start + i] ?? 0) - largest);
  return largest + Math.log(sum) - (scores[start + chosen] ?? 0);
}

async function perplexity(file: string): Promise<number> {
  const session = await InferenceSession.create(file, { logSeverityLevel: 3 });
  const [input = "", output = ""] = [session.inputNames[0], session.outputNames[0]];
  let total = 0;
  for (let window = 0; window < windows; window++) {
    const given = tokens.slice(window * length, (window + 1) * length);
    const { [output]: scores } = await session.run({ [input]: new Tensor("int64", given, [1, length]) });
    if (!(scores?.data instanceof Float32Array)) throw new Error(`${file} has no float scores`);
    const classes = scores.data.length / length;
    for (let i = 0; i + 1 < length; i++) total += surprise(scores.data, i * classes, classes, Number(given[i + 1]));
  }
  await session.release();
  return Math.exp(total / (windows * (length - 1)));
}

const rows: string[][] = [];
for (const file of files) {
  const value = await perplexity(file);
  rows.push([basename(file), (statSync(file).size / 1e6).toFixed(1), value.toFixed(2)]);
  console.log(rows.at(-1)?.join(" "));
}
console.log(formatTable(["model", "MB", `perplexity, ${windows} windows of ${length}`], rows));
