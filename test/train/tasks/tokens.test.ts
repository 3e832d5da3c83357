/** Networks of tokens, with one input and with two: trained, read back, evaluated, and refused before the first step. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { resolveTrainingConfig } from "../../../src/config/config.ts";
import { diagnoseRun } from "../../../src/diagnose/diagnose-run.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { tokenRanges } from "../../../src/train/fit/token-range.ts";
import { loadRun } from "../../../src/train/load-run.ts";
import { evaluate } from "../../../src/train/loop/evaluate.ts";
import { startRun } from "../../../src/train/run.ts";
import { bytesOf, labels, npy, npz, put } from "../../data/files.ts";
import { errorOf } from "../../data/support.ts";
import { hasTokenizers, wordPieceTokenizer, wordPieceVocabulary } from "../../support/small-tokenizer.ts";
import { temporaryFolder } from "../../support/training/tiny-run.ts";
import { type TokenNetworkOptions, tokenNetwork, writeTokenNetwork } from "../../support/training/token-network.ts";

const [vocabulary, length, classes, count] = [12, 6, 3, 96];
const shape: TokenNetworkOptions = { vocabulary, length, classes, head: "sample" };

/** The class is that of the first token; the rest is noise, and masked. */
const token = (i: number) => (i % length === 0 ? (i / length) % classes : (i * 7 + 3) % vocabulary);
const attention = (i: number) => (i % length < 2 ? 1 : 0);

function integers(value: (i: number) => number): Uint8Array {
  return npy(
    "<i8",
    [count, length],
    bytesOf(BigInt64Array.from({ length: count * length }, (_, i) => BigInt(value(i)))),
  );
}

async function setUp(options: TokenNetworkOptions, tokens = token, data: object = {}) {
  const folder = await temporaryFolder();
  const arrays = {
    input_ids: integers(tokens),
    ...(options.mask === undefined ? {} : { attention_mask: integers(attention) }),
    labels: labels(count, (i) => i % classes),
  };
  await put(folder, { "data.npz": npz(arrays) });
  const file = await writeTokenNetwork(join(folder, "tokens.onnx"), options);
  const config = resolveTrainingConfig({
    name: "tokens",
    text: JSON.stringify({
      model: { file },
      data: { folder: join(folder, "data.npz"), ...data },
      train: { epochs: 16, batchSize: 16, optimizer: { name: "adam", learningRate: 0.03 } },
      quantization: { preset: "lsq", weightBits: 8, activationBits: 8 },
      threads: 1,
    }),
  });
  return { config, parent: folder };
}

describe("networks of tokens", () => {
  it.each([
    ["one input", shape],
    ["a mask of whole numbers", { ...shape, mask: "int64" }],
    ["a mask of 32 bits", { ...shape, mask: "int32" }],
    ["a mask of floats", { ...shape, mask: "float32" }],
    ["a mask of truth values", { ...shape, mask: "bool" }],
  ] as const)("train with %s, and evaluate as trained", async (_, options) => {
    const { config, parent } = await setUp(options);
    const losses: number[] = [];
    const { summary, paths } = await startRun(
      { config, parent, name: "run" },
      { onEpoch: ({ trainLoss }) => losses.push(trainLoss) },
    );
    expect(losses.at(-1)).toBeLessThan(0.8 * (losses[0] ?? 0));
    const loaded = await loadRun(paths.folder);
    expect(loaded.notes).toEqual([]);
    const again = await evaluate(loaded.network, loaded.data.test, nodeEngine({ threads: 1 }));
    expect(again.loss).toBe(summary.loss);
  });

  it("are diagnosed without a word on the size of tokens", async () => {
    const { config, parent } = await setUp({ ...shape, mask: "int64" });
    const { paths } = await startRun({ config, parent, name: "run" });
    const { findings } = await diagnoseRun(paths.folder, { engine: nodeEngine({ threads: 1 }) });
    expect(findings.filter(({ cause }) => cause === "input-scale" || cause === "outlier-samples")).toEqual([]);
  });

  it.each([
    ["beyond the table", vocabulary],
    ["below 0", -1],
  ])("are refused tokens %s, before a folder is made, by file, sample and position", async (_, wrong) => {
    const { config, parent } = await setUp(shape, (i) => (i === 5 * length + 4 ? wrong : token(i)), {
      validationSplit: 0,
    });
    const error = await errorOf(() => startRun({ config, parent, name: "run" }));
    expect(error.message).toMatch(new RegExp(`position 4 of input_ids holds ${wrong}.*${vocabulary} rows`));
    expect(error.where).toMatch(/data\.npz, sample 5$/);
    expect(error.exitCode).toBe(2);
    expect(existsSync(join(parent, "run", "checkpoints", "last.safetensors"))).toBe(false);
  });

  it.each([{ crop: 2 }, { flip: true }, { normalization: "imagenet" }])("are refused %j", async (data) => {
    const { config, parent } = await setUp(shape, token, data);
    const error = await errorOf(() => startRun({ config, parent, name: "run" }));
    expect(error.exitCode).toBe(2);
    expect(error.where).toBe(`data.${Object.keys(data)[0]}`);
  });

  it("have ranges by the tables that their inputs pick from", () => {
    expect(tokenRanges(tokenNetwork({ ...shape, mask: "int64" }))).toEqual([{ input: "input_ids", rows: vocabulary }]);
  });
});

describe.skipIf(!hasTokenizers())("texts", () => {
  it("train from JSON lines with a tokenizer, and are read back with it", async () => {
    const folder = await temporaryFolder();
    const texts = Array.from({ length: 48 }, (_, i) =>
      JSON.stringify({ text: i % 2 === 0 ? "the film was good" : "bad film !", label: i % 2 === 0 ? "good" : "bad" }),
    );
    await put(folder, { "reviews.jsonl": `${texts.join("\n")}\n`, "tokenizer.json": wordPieceTokenizer() });
    const file = await writeTokenNetwork(join(folder, "m.onnx"), {
      vocabulary: wordPieceVocabulary,
      length: 8,
      classes: 2,
      head: "sample",
      mask: "int64",
    });
    const config = resolveTrainingConfig({
      name: "texts",
      text: JSON.stringify({
        model: { file },
        data: { folder: join(folder, "reviews.jsonl"), tokenizer: join(folder, "tokenizer.json") },
        train: { epochs: 8, batchSize: 8, optimizer: { name: "adam", learningRate: 0.05 } },
        threads: 1,
      }),
    });
    const { summary, paths } = await startRun({ config, parent: folder, name: "run" });
    expect(summary.accuracy).toBe(1);
    const loaded = await loadRun(paths.folder);
    expect(loaded.notes).toEqual([]);
    await put(folder, { "tokenizer.json": `${wordPieceTokenizer()} ` });
    expect((await loadRun(paths.folder)).notes.join()).toMatch(/data\.tokenizer/);
  });
});
