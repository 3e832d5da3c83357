/** Data sets of texts: JSON lines, cut into tokens by a tokenizer and cut or padded to the network's length. */
import { basename, join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { ConfigError, FileFormatError } from "../../../errors.ts";
import type { FileInput } from "../../../onnx/read/file.ts";
import { inMemoryDataset } from "../../dataset/dataset.ts";
import type { LoadedData, Task } from "../../dataset/loaded-data.ts";
import { type InputElements, packSamples } from "../../dataset/packed-samples.ts";
import { partOfName } from "../../dataset/part-names.ts";
import type { LabelledDataset } from "../../dataset/subset.ts";
import { shortList } from "../../images/list-folder.ts";
import { tokenInputs } from "../../tasks/token-part.ts";
import { readJsonLines, type TextRecord } from "./json-lines.ts";
import { decideTextTargets, type EncodedPart } from "./labels.ts";
import { openTokenizer, type TextTokenizer } from "./tokenizer.ts";

/** How texts become samples. */
export interface TextOptions {
  readonly task?: Task;
  readonly classes?: readonly string[];
  readonly ignoreIndex?: number;
  /** The tokenizer.json of the model. */
  readonly tokenizer?: string;
  /** Tokens of a sample; default: as many as the model's file states. */
  readonly length?: number;
  /** The inputs of the network that the data is for, as its file states them. */
  readonly inputs?: readonly FileInput[];
}

/**
 * Opens JSON lines: one file, or one for each part (train.jsonl, test.jsonl).
 *
 * @throws ConfigError without a tokenizer or a length; FileFormatError naming file and line.
 */
export async function openText(folder: string, files: readonly string[], options: TextOptions): Promise<LoadedData> {
  const place = files.length === 1 ? join(folder, files[0] ?? "") : folder;
  const { inputs = [] } = options;
  if (options.tokenizer === undefined || inputs.length === 0) {
    throw new ConfigError(
      inputs.length === 0 ? "texts need a model's file that reads tokens" : "texts need the tokenizer of the model",
      {
        where: place,
        remedy:
          inputs.length === 0
            ? "Name it: --model FILE.onnx. A table of JSON lines: pandas.read_json(FILE, lines=True).to_csv writes a CSV."
            : "Name it: --set data.tokenizer=tokenizer.json.",
      },
    );
  }
  checkInputs(inputs, place);
  const length = options.length ?? statedLength(inputs, place);
  const tokenizer = await openTokenizer(options.tokenizer);
  const paths = partFiles(folder, files, place);
  const parts: EncodedPart[] = [];
  for (const path of paths) parts.push(encodePart(path, await readJsonLines(path), tokenizer, length));
  const decided = decideTextTargets(parts, options, length);
  const built = parts.map((part, number): LabelledDataset => {
    const name = parts.length === 1 ? place : `${place} ${number === 0 ? "train" : "test"}`;
    const targets = decided.arrays[number] ?? new Float32Array(0);
    const packed = packSamples(elementsOf(part, inputs, length, tokenizer.padding ?? 0), part.rows.length);
    const dataset = inMemoryDataset({ name, ...packed, targets, target: decided.target });
    const sampleName = (index: number) => `${part.path}, line ${part.rows[index]?.record.line ?? index + 1}`;
    const isClass = decided.target.kind === "classes" && targets instanceof Int32Array;
    return { dataset: { ...dataset, sampleName }, ...(isClass ? { labels: targets } : {}) };
  });
  const [train, test] = built;
  if (train === undefined) throw new FileFormatError("there are no texts", { where: place });
  const cut = parts.reduce((sum, { rows }) => sum + rows.filter(({ isCut }) => isCut).length, 0);
  const all = parts.reduce((sum, { rows }) => sum + rows.length, 0);
  return {
    kind: "text",
    train,
    ...defined({ test }),
    normalization: train.dataset.normalization,
    masking: {
      vocabulary: tokenizer.vocabulary,
      specialTokens: tokenizer.special,
      ...defined({ maskToken: tokenizer.mask }),
    },
    notes: [
      `${all} texts of ${length} tokens by ${basename(options.tokenizer)} (${tokenizer.vocabulary} tokens)`,
      ...(cut > 0 ? [`${cut} of ${all} texts are longer than ${length} tokens and are cut`] : []),
      ...(tokenizer.padding === undefined ? ["the tokenizer has no token for padding: token 0 is used"] : []),
      ...decided.notes,
    ],
  };
}

/** @throws ConfigError for an input that is no sequence. */
function checkInputs(inputs: readonly FileInput[], where: string): void {
  const other = inputs.find(({ dimensions }) => dimensions !== undefined && dimensions.length !== 2);
  if (other === undefined) return;
  const sizes = other.dimensions?.map((size) => size ?? "?").join(", ");
  throw new ConfigError(`the model's input ${other.name} is [${sizes}], texts give [N, tokens]`, {
    where,
    remedy: "Name a model of tokens, or data for this one.",
  });
}

/** The length that the inputs of a network state. */
function statedLength(inputs: readonly FileInput[], where: string): number {
  const lengths = inputs.flatMap(({ dimensions }) => {
    const last = dimensions?.length === 2 ? dimensions[1] : undefined;
    return typeof last === "number" ? [last] : [];
  });
  const [first] = lengths;
  if (first !== undefined) return first;
  throw new ConfigError("the model's file leaves the number of tokens open", {
    where,
    remedy: "Give it: --set data.length=128.",
  });
}

/** The file of the training part, then that of the test part, where there is one. */
function partFiles(folder: string, files: readonly string[], where: string): string[] {
  const [only, second] = files;
  if (only !== undefined && second === undefined) return [join(folder, only)];
  const of = (part: string) => files.filter((file) => partOfName(file.replace(/\.[^.]*$/, "")) === part);
  const [train, held] = [of("train"), of("validation").length > 0 ? of("validation") : of("test")];
  if (train.length === 1 && held.length === 1) return [...train, ...held].map((file) => join(folder, file));
  throw new ConfigError(`it is not clear which of the files are for training: ${shortList(files)}`, {
    where,
    remedy: "Call them train.jsonl and test.jsonl, or give the path of one of them.",
  });
}

function encodePart(
  path: string,
  records: readonly TextRecord[],
  tokenizer: TextTokenizer,
  length: number,
): EncodedPart {
  const added = tokenizer.before.length + tokenizer.after.length;
  if (added >= length) {
    throw new ConfigError(`${length} tokens leave no room for a text: the tokenizer adds ${added}`, {
      where: "data.length",
      remedy: "Choose a longer length.",
    });
  }
  const rows = records.map((record) => {
    const { tokens: words, text = "", pair } = record;
    if (words === undefined) {
      const whole = tokenizer.encode(text, pair);
      const isCut = whole.ids.length > length;
      const kept = length - tokenizer.after.length;
      const cut = (values: readonly number[], end: readonly number[]) =>
        isCut ? [...values.slice(0, kept), ...end] : values;
      const last = whole.types[kept - 1] ?? 0;
      const types = cut(
        whole.types,
        tokenizer.after.map(() => last),
      );
      return { record, ids: cut(whole.ids, tokenizer.after), types, firsts: [], isCut };
    }
    const pieces = tokenizer.encodeWords(words);
    const room = length - added;
    const inner: number[] = [];
    // A word has its tag at its first token; one that is cut off has none.
    const firsts = pieces.map((piece) => {
      const place = inner.length < room && piece.length > 0 ? tokenizer.before.length + inner.length : undefined;
      inner.push(...piece);
      return place;
    });
    const ids = [...tokenizer.before, ...inner.slice(0, room), ...tokenizer.after];
    return { record, ids, types: ids.map(() => 0), firsts, isCut: inner.length > room };
  });
  return { path, rows };
}

/** The elements of each input of the network. */
function elementsOf(
  { path, rows }: EncodedPart,
  inputs: readonly FileInput[],
  length: number,
  padding: number,
): InputElements[] {
  const [only, second] = inputs;
  return inputs.map(({ name, dtype }) => {
    const values =
      only !== undefined && second === undefined
        ? tokenInputs.tokens
        : Object.values(tokenInputs).find((one) => one === name);
    if (values === undefined) {
      throw new ConfigError(`texts give no values for the input ${name}`, {
        where: path,
        remedy: `They give ${Object.values(tokenInputs).join(", ")}; save the others as arrays in an NPZ file.`,
      });
    }
    const elements = new Int32Array(rows.length * length).fill(values === tokenInputs.tokens ? padding : 0);
    rows.forEach(({ ids, types }, row) => {
      const own = values === tokenInputs.tokens ? ids : values === tokenInputs.types ? types : ids.map(() => 1);
      elements.set(own, row * length);
    });
    // A model may read its tokens as floats, and cast them itself.
    const own = dtype.startsWith("float") ? Float32Array.from(elements) : elements;
    return { name, shape: [length], elements: own, where: path };
  });
}
