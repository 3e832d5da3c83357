/**
 * The word after each: a causal transformer, and sentences without any label.
 *
 *     npx tsx examples/tasks/next-token.ts
 */
import { sentences, trainOnLines } from "./sentences.ts";

const lines = sentences(400, 1).map(({ tokens }) => ({ text: tokens.join(" ") }));
export const summary = await trainOnLines("decoder.onnx", lines, { task: "nextToken" });
console.log(`next words right ${(100 * summary.accuracy).toFixed(1)} %, perplexity ${summary.perplexity?.toFixed(2)}`);
