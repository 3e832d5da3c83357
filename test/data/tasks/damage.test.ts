/**
 * Damaged token arrays, JSON lines and tokenizers, by a seed: each gives an error of ours that names a file, or a data set whose
 * samples can be read and whose tokens are those of the table; never another exception. VARIANTS=2000 SEED=7 tries more.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type RandomStream, randomStream } from "../../../src/base/random.ts";
import { allocateBatch } from "../../../src/data/dataset/dataset.ts";
import { type OpenOptions, openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { SubbyteError } from "../../../src/errors.ts";
import type { FileInput } from "../../../src/onnx/read/file.ts";
import { checkTokens } from "../../../src/train/fit/token-range.ts";
import { hasTokenizers, wordPieceTokenizer, wordPieceVocabulary } from "../../support/small-tokenizer.ts";
import { tokenNetwork } from "../../support/training/token-network.ts";
import { bytesOf, labels, npy, npz, put } from "../files.ts";
import { temporaryFolder } from "../support.ts";

const variants = Number(process.env.VARIANTS ?? 40);
const seed = Number(process.env.SEED ?? 1);
const [length, count] = [6, 8];
const inputs: readonly FileInput[] = ["input_ids", "attention_mask"].map((name) => ({
  name,
  dtype: "int64",
  dimensions: ["batch", length],
}));
const network = tokenNetwork({ vocabulary: wordPieceVocabulary, length, classes: 2, head: "positions", mask: "int64" });

function integers(value: (i: number) => number): Uint8Array {
  const elements = BigInt64Array.from({ length: count * length }, (_, i) => BigInt(value(i)));
  return npy("<i8", [count, length], bytesOf(elements));
}

const arrays = {
  input_ids: integers((i) => i % wordPieceVocabulary),
  attention_mask: integers((i) => Number(i % length < 4)),
  labels: integers((i) => (i % 5 === 0 ? -100 : i % 2)),
};
const lines = [
  { tokens: ["the", "film", "was"], tags: ["A", "B", "A"] },
  { tokens: ["bad"], tags: ["B"] },
  { tokens: ["a", "play", "."], tags: ["A", "B", "C"] },
];

interface Kind {
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** The file that is damaged. */
  readonly damaged: string;
  readonly opened: string;
  readonly options: (folder: string) => OpenOptions;
}

const text = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
const tokens = { inputs, validationSplit: 0 } as const;
const tokenized = (folder: string): OpenOptions => ({ ...tokens, tokenizer: join(folder, "t", "tokenizer.json") });
const textFiles = { "d.jsonl": text, "t/tokenizer.json": Buffer.from(wordPieceTokenizer()) };
const kinds: Readonly<Record<string, Kind>> = {
  "classes of tokens": {
    files: { "d.npz": npz(arrays, 0) },
    damaged: "d.npz",
    opened: "d.npz",
    options: () => ({ ...tokens, task: "tokenClassification" }),
  },
  "masked tokens": {
    files: { "d.npz": npz({ input_ids: arrays.input_ids, attention_mask: arrays.attention_mask }, 0) },
    damaged: "d.npz",
    opened: "d.npz",
    options: () => ({ ...tokens, task: "maskedTokens", maskToken: 4, vocabulary: wordPieceVocabulary }),
  },
  "classes of samples": {
    files: { "d.npz": npz({ ...arrays, labels: labels(count, (i) => i % 2) }, 6) },
    damaged: "d.npz",
    opened: "d.npz",
    options: () => tokens,
  },
  "JSON lines": { files: textFiles, damaged: "d.jsonl", opened: "d.jsonl", options: tokenized },
  tokenizer: { files: textFiles, damaged: "t/tokenizer.json", opened: "d.jsonl", options: tokenized },
};

function damage(file: Uint8Array, stream: RandomStream): Uint8Array {
  const damaged = Buffer.from(file);
  const at = () => stream.integerBelow(Math.max(1, damaged.length));
  switch (stream.integerBelow(5)) {
    case 0:
      return damaged.subarray(0, at());
    case 1:
      damaged[at()] = stream.integerBelow(256);
      return damaged;
    case 2: {
      const [from, to] = [at(), at()].sort((a, b) => a - b);
      return Buffer.concat([damaged.subarray(0, from), damaged.subarray(to)]);
    }
    case 3: {
      const digits = [...damaged.keys()].filter((i) => (damaged[i] ?? 0) >= 48 && (damaged[i] ?? 0) <= 57);
      const place = digits[stream.integerBelow(Math.max(1, digits.length))];
      if (place !== undefined) damaged[place] = 48 + stream.integerBelow(10);
      return damaged;
    }
    default:
      for (let i = 0; i < 3; i++) damaged[at()] = stream.integerBelow(256);
      return damaged;
  }
}

/** Reads what a file holds; `refused` where it says why not. */
async function outcome(place: string, options: OpenOptions): Promise<"read" | "refused"> {
  try {
    const { train } = await openDataset(place, options);
    await checkTokens(network, train);
    const batch = allocateBatch(train, train.count);
    train.readBatch(
      Int32Array.from({ length: train.count }, (_, i) => i),
      batch,
      { seed: 0, epoch: 0 },
    );
    return "read";
  } catch (error) {
    if (!(error instanceof SubbyteError)) throw error;
    expect(error.message).not.toBe("");
    expect(error.where).toBeDefined();
    return "refused";
  }
}

describe("damaged data of tokens", () => {
  for (const [name, { files, damaged, opened, options }] of Object.entries(kinds)) {
    const needs = options("") !== undefined && "t/tokenizer.json" in files;
    test.skipIf(needs && !hasTokenizers())(
      `${name}: read, or refused by name`,
      async () => {
        const folder = await temporaryFolder();
        const seen = { read: 0, refused: 0 };
        for (let variant = 0; variant < variants; variant++) {
          const original = files[damaged] ?? new Uint8Array();
          await put(folder, { ...files, [damaged]: damage(original, randomStream(seed, name, variant)) });
          seen[await outcome(join(folder, opened), options(folder))]++;
          await rm(join(folder, damaged), { force: true });
        }
        if (process.env.VARIANTS !== undefined) console.info(name, seen);
        expect(seen.refused).toBeGreaterThan(0);
        expect(seen.read + seen.refused).toBe(variants);
      },
      600_000,
    );
  }
});
