/** Texts as JSON lines: tokens, masks and targets of each, and errors that name file and line. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { allocateBatch, type Dataset } from "../../../../src/data/dataset/dataset.ts";
import { type OpenOptions, openDataset } from "../../../../src/data/dataset/open-dataset.ts";
import { openTokenizer } from "../../../../src/data/formats/text/tokenizer.ts";
import type { FileInput } from "../../../../src/onnx/read/file.ts";
import {
  byteTokenizer,
  hasTokenizers,
  tokenOf,
  wordPieceTokenizer,
  wordPieceVocabulary,
} from "../../../support/small-tokenizer.ts";
import { put } from "../../files.ts";
import { errorOf, temporaryFolder } from "../../support.ts";

const length = 8;
const input = (name: string): FileInput => ({ name, dtype: "int64", dimensions: ["batch", length] });
const three = ["input_ids", "attention_mask", "token_type_ids"].map(input);
const [start, end] = [tokenOf("[CLS]"), tokenOf("[SEP]")];
const ids = (text: string) => text.split(" ").map(tokenOf);

async function open(
  lines: readonly (object | string)[],
  options: OpenOptions = {},
  others: Record<string, string> = {},
) {
  const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n");
  const folder = await put(await temporaryFolder(), {
    "x.jsonl": `${text}\n`,
    "t/tokenizer.json": wordPieceTokenizer(),
    ...others,
  });
  return openDataset(join(folder, "x.jsonl"), {
    inputs: three,
    tokenizer: join(folder, "t", "tokenizer.json"),
    validationSplit: 0,
    ...options,
  });
}

function read(dataset: Dataset, index: number) {
  const batch = allocateBatch(dataset, 1);
  dataset.readBatch(Int32Array.of(index), batch);
  const part = (name: string) => {
    const found = dataset.inputs?.find((one) => one.name === name);
    return Array.from(batch.samples.subarray(found?.start ?? 0, (found?.start ?? 0) + length));
  };
  return {
    ids: part("input_ids"),
    mask: part("attention_mask"),
    types: part("token_type_ids"),
    targets: Array.from(batch.targets),
  };
}

const padded = (values: readonly number[]) => [...values, ...new Array<number>(length - values.length).fill(0)];

describe.skipIf(!hasTokenizers())("texts", () => {
  test("become tokens between those that the tokenizer adds, padded, with mask and types", async () => {
    const { train, notes } = await open([
      { text: "The FILM was good!", label: "yes" },
      { text: "bad", pair: "a films", label: "no" },
    ]);
    expect(train.target).toEqual({ kind: "classes", classes: ["no", "yes"] });
    expect(read(train, 0)).toEqual({
      ids: padded([start, ...ids("the film was good !"), end]),
      mask: padded(new Array(7).fill(1)),
      types: padded([]),
      targets: [1],
    });
    expect(read(train, 1)).toMatchObject({
      ids: padded([start, tokenOf("bad"), end, ...ids("a film ##s"), end]),
      types: [0, 0, 0, 1, 1, 1, 1, 0],
    });
    expect(train.sampleName?.(1)).toMatch(/x\.jsonl, line 2$/);
    expect(notes[0]).toBe(`2 texts of ${length} tokens by tokenizer.json (${wordPieceVocabulary} tokens)`);
  });

  test("are cut to the length with the last added token kept, and a note counts them", async () => {
    const { train, notes } = await open([{ text: "the film was good . the film was bad" }]);
    expect(read(train, 0).ids).toEqual([start, ...ids("the film was good . the"), end]);
    expect(notes.join()).toMatch(/1 of 1 texts are longer than 8 tokens and are cut/);
  });

  test("words have their tag at their first token; others, and those that are cut off, do not count", async () => {
    const { train } = await open([
      { tokens: ["Anna", "went", "plays", "Paris"], tags: ["PER", "O", "O", "LOC"] },
      { tokens: ["a", "a", "a", "a", "a", "films", "paris"], tags: ["O", "O", "O", "O", "O", "O", "LOC"] },
    ]);
    expect(train.target).toMatchObject({
      kind: "dense",
      shape: [length],
      classes: ["LOC", "O", "PER"],
      meaning: "tokens",
    });
    expect(read(train, 0)).toMatchObject({
      ids: padded([start, ...ids("anna went play ##s paris"), end]),
      targets: [-1, 2, 1, 1, -1, 0, -1, -1],
    });
    expect(read(train, 1).targets).toEqual([-1, 1, 1, 1, 1, 1, 1, -1]);
  });

  test("numbers as tags: -100 does not count", async () => {
    const { train } = await open([{ tokens: ["a", "film", "was"], tags: [2, -100, 0] }]);
    expect(train.target).toMatchObject({ classes: ["0", "1", "2"] });
    expect(read(train, 0).targets).toEqual([-1, 2, -1, 0, -1, -1, -1, -1]);
  });

  test("numbers as labels are values where they are no counts", async () => {
    const { train } = await open([
      { text: "a", label: 0.5 },
      { text: "film", label: 2 },
    ]);
    expect(train.target).toEqual({ kind: "values", shape: [] });
    expect(read(train, 1).targets).toEqual([2]);
  });

  test("masked tokens take the mask and the special tokens from the tokenizer", async () => {
    const { train } = await open([{ text: "the film was good" }], { task: "maskedTokens", maskShare: 1 });
    const { ids: seen, targets } = read(train, 0);
    expect(targets).toEqual([-1, ...ids("the film was good"), -1, -1, -1]);
    expect([seen[0], seen[5]]).toEqual([start, end]);
    expect(seen).toContain(tokenOf("[MASK]"));
  });

  test("next tokens, with one input of any name", async () => {
    const { train } = await open([{ text: "the film" }], { task: "nextToken", inputs: [{ ...input("x") }] });
    const { ids: seen, targets } = read(train, 0);
    expect(seen).toEqual(padded([start, ...ids("the film"), end]));
    expect(targets.slice(0, 3)).toEqual([...ids("the film"), end]);
  });

  test("two files are two parts, and the classes are those of the training part", async () => {
    const lines = (label: string) => JSON.stringify({ text: "a film", label });
    const folder = await put(await temporaryFolder(), {
      "train.jsonl": `${lines("x")}\n${lines("y")}\n`,
      "test.jsonl": `${lines("y")}\n`,
      "t/tokenizer.json": wordPieceTokenizer(),
    });
    const options = { inputs: three, tokenizer: join(folder, "t", "tokenizer.json") };
    const { train, test: held } = await openDataset(folder, options);
    expect([train.count, held.count]).toEqual([2, 1]);
    expect(read(held, 0).targets).toEqual([1]);
    await put(folder, { "test.jsonl": `${lines("y")}\n${lines("z")}\n` });
    const error = await errorOf(() => openDataset(folder, options));
    expect(error.where).toMatch(/test\.jsonl, line 2$/);
  });

  test.each([
    ["no JSON", ['{"text": "a"}', "{"], /the line is no JSON/, 2],
    ["an empty line", ['{"text": "a"}', "", '{"text": "a"}'], /the line is empty/, 2],
    ["a list", ["[1]"], /expected object/, 1],
    ["neither text nor tokens", [{ label: 1 }], /neither text nor tokens/, 1],
    ["both", [{ text: "a", tokens: ["a"] }], /both text and tokens/, 1],
    ["a text that is a number", [{ text: 5 }], /text: .*expected string/, 1],
    ["tags of another number", [{ text: "a" }, { tokens: ["a", "film"], tags: ["O"] }], /1 tags for 2 tokens/, 2],
    ["a line without a label", [{ text: "a", label: "x" }, { text: "b" }], /there is no label/, 2],
    ["a line without tags", [{ tokens: ["a"], tags: ["O"] }, { tokens: ["b"] }], /there is no tags/, 2],
    [
      "a class that is not named",
      [
        { text: "a", label: "x" },
        { text: "b", label: "z" },
      ],
      /class "z"/,
      2,
      { classes: ["x", "y"] },
    ],
    ["a tag that is not named", [{ tokens: ["a"], tags: ["Q"] }], /the tag "Q" is not one of O/, 1, { classes: ["O"] }],
  ] as const)("refused by file and line: %s", async (_, lines, message, line, options: OpenOptions = {}) => {
    const error = await errorOf(() => open(lines, options));
    expect(error.message).toMatch(message);
    expect(error.where).toMatch(new RegExp(`x\\.jsonl, line ${line}$`));
  });

  test.each([
    ["no model", { inputs: [] }, /need a model's file that reads tokens/],
    [
      "an open length",
      { inputs: [{ ...input("x"), dimensions: ["batch", "seq"] }] },
      /leaves the number of tokens open/,
    ],
    ["a length without room", { length: 2 }, /leave no room for a text: the tokenizer adds 2/],
    [
      "an input that texts do not give",
      { inputs: [...three, input("position_ids")] },
      /no values for the input position_ids/,
    ],
    ["a tokenizer that is not there", { tokenizer: "/nowhere/tokenizer.json" }, /the tokenizer cannot be read/],
  ] as const)("refused: %s", async (_, options, message) => {
    expect((await errorOf(() => open([{ text: "a" }], options))).message).toMatch(message);
  });

  test("refused: no tokenizer", async () => {
    const folder = await put(await temporaryFolder(), { "x.jsonl": '{"text": "a"}' });
    const error = await errorOf(() => openDataset(join(folder, "x.jsonl"), { inputs: three }));
    expect(error.message).toMatch(/need the tokenizer of the model/);
  });

  test("a file that is no tokenizer", async () => {
    const folder = await put(await temporaryFolder(), {
      "a.json": "{}",
      "b.json": "{",
      "c.json": '{"model": {"type": "Odd"}}',
    });
    for (const name of ["a.json", "b.json", "c.json"]) {
      const error = await errorOf(() => openTokenizer(join(folder, name)));
      expect(error.exitCode).toBe(1);
      expect(error.where).toBe(join(folder, name));
    }
  });

  test("words of a tokenizer of bytes begin with their space", async () => {
    const folder = await put(await temporaryFolder(), { "tokenizer.json": byteTokenizer() });
    const tokenizer = await openTokenizer(join(folder, "tokenizer.json"));
    expect(tokenizer.encodeWords(["ab", "ab", "c"])).toEqual([[5], [6], [3, 2]]);
    expect(tokenizer.encode("ab ab c").ids).toEqual([5, 6, 3, 2]);
    expect([tokenizer.padding, tokenizer.mask, tokenizer.before, tokenizer.after]).toEqual([
      undefined,
      undefined,
      [],
      [],
    ]);
  });
});
