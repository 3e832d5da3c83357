/** Sentences of a small grammar, each word with its part of speech, and a training on them at 8 bits. */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type RunSummary, randomStream, resolveTrainingConfig, startRun } from "subbyte";

const words = {
  determiner: ["the", "a"],
  adjective: ["red", "small", "old"],
  noun: ["cat", "dog", "bird", "boat"],
  verb: ["sees", "likes", "finds"],
  action: ["runs", "sleeps", "sings"],
  adverb: ["quickly", "often"],
  end: ["."],
} as const;
type Part = keyof typeof words;
const patterns: readonly (readonly Part[])[] = [
  ["determiner", "noun", "verb", "determiner", "adjective", "noun", "end"],
  ["determiner", "adjective", "noun", "action", "adverb", "end"],
  ["determiner", "noun", "action", "end"],
];

/** One sentence: its words, and the part of speech of each. */
export interface Sentence {
  readonly tokens: readonly string[];
  readonly tags: readonly Part[];
}

/** Returns sentences drawn by a seed. */
export function sentences(count: number, seed: number): Sentence[] {
  const random = randomStream(seed, "sentences");
  const oneOf = <T>(list: readonly T[]): T | undefined => list[random.integerBelow(list.length)];
  return Array.from({ length: count }, () => {
    const tags = oneOf(patterns) ?? [];
    return { tokens: tags.map((part) => oneOf<string>(words[part]) ?? ""), tags };
  });
}

/** Trains one of the networks next to this file on JSON lines. */
export async function trainOnLines(network: string, lines: readonly object[], data: object): Promise<RunSummary> {
  const folder = await mkdtemp(join(tmpdir(), "subbyte-example-"));
  const nextTo = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  await writeFile(join(folder, "lines.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const text = JSON.stringify({
    model: { file: nextTo(network) },
    data: { folder: join(folder, "lines.jsonl"), tokenizer: nextTo("tokenizer.json"), ...data },
    train: { epochs: 6, batchSize: 16, optimizer: { name: "adam", learningRate: 0.01 } },
    quantization: { preset: "lsq", weightBits: 8, activationBits: 8 },
  });
  const { summary } = await startRun({ config: resolveTrainingConfig({ name: "example", text }), parent: folder });
  return summary;
}
