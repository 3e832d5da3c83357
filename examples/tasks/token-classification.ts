/**
 * The part of speech of each word: words with tags as JSON lines, a tokenizer, and a transformer with two inputs.
 *
 *     npx tsx examples/tasks/token-classification.ts
 */
import { sentences, trainOnLines } from "./sentences.ts";

export const summary = await trainOnLines("encoder.onnx", sentences(400, 1), { task: "tokenClassification" });
console.log(`words right ${(100 * summary.accuracy).toFixed(1)} %, macro F1 ${summary.macroF1?.toFixed(3)}`);
