/**
 * Words that were masked: 15 % of each sentence, others in every epoch; the tokenizer knows the mask.
 *
 *     npx tsx examples/tasks/masked-tokens.ts
 */
import { sentences, trainOnLines } from "./sentences.ts";

const lines = sentences(800, 1).map(({ tokens }) => ({ text: tokens.join(" ") }));
export const summary = await trainOnLines("encoder.onnx", lines, { task: "maskedTokens" });
console.log(
  `masked words right ${(100 * summary.accuracy).toFixed(1)} %, perplexity ${summary.perplexity?.toFixed(2)}`,
);
