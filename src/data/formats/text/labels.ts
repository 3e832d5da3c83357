/** The targets of texts: a class or a value for each text, or a class for each word. */
import { FileFormatError } from "../../../errors.ts";
import { ignoredLabel, type LabelType, type TargetArray } from "../../dataset/dataset.ts";
import { isMadeOfSamples, type Task } from "../../dataset/loaded-data.ts";
import { decideWordTargets } from "../../dataset/targets.ts";
import { shortList } from "../../images/list-folder.ts";
import type { TextRecord } from "./json-lines.ts";

/** A text as tokens. */
export interface EncodedText {
  readonly record: TextRecord;
  readonly ids: readonly number[];
  readonly types: readonly number[];
  /** The place of the first token of each word; undefined for a word that was cut off. Empty for a text that is no words. */
  readonly firsts: readonly (number | undefined)[];
  readonly isCut: boolean;
}

/** The texts of one file. */
export interface EncodedPart {
  readonly path: string;
  readonly rows: readonly EncodedText[];
}

/** The targets of all parts, and what was decided, one sentence each. */
export interface TextTargets {
  readonly target: LabelType;
  readonly arrays: readonly TargetArray[];
  readonly notes: readonly string[];
}

interface LabelOptions {
  readonly task?: Task;
  readonly classes?: readonly string[];
  readonly ignoreIndex?: number;
}

/** The tag of a word that does not count, as Hugging Face's data sets have it. */
const usualIgnored = -100;

/**
 * Decides the targets: tags where the lines have them, labels where they have those, else none.
 *
 * @throws FileFormatError naming file and line of a text without what the others have, or with a class of its own.
 */
export function decideTextTargets(parts: readonly EncodedPart[], options: LabelOptions, length: number): TextTargets {
  const { task = "auto", classes } = options;
  const none = { target: { kind: "none" } as const, arrays: parts.map(() => new Float32Array(0)), notes: [] };
  if (isMadeOfSamples(task)) return none;
  const [first] = parts[0]?.rows ?? [];
  if (first?.record.tags !== undefined || task === "tokenClassification") return tagsOf(parts, options, length);
  if (first?.record.label === undefined) return none;
  const words = parts.map(({ path, rows }) => ({
    where: path,
    words: rows.map(({ record }) => String(required(record.label, "label", path, record.line))),
    firstRow: 1,
    unit: "line",
  }));
  const { target, arrays, note } = decideWordTargets(words, "label", task, classes);
  return { target, arrays, notes: [note] };
}

function required<T>(value: T | undefined, key: string, path: string, line: number): T {
  if (value !== undefined) return value;
  throw new FileFormatError(`there is no ${key}`, {
    where: `${path}, line ${line}`,
    remedy: "Give one on each line, or on none.",
  });
}

function tagsOf(parts: readonly EncodedPart[], { classes, ignoreIndex }: LabelOptions, length: number): TextTargets {
  const ignored = String(ignoreIndex ?? usualIgnored);
  const seen = new Set(
    (parts[0]?.rows ?? []).flatMap(({ record }) => (record.tags ?? []).map(String)).filter((tag) => tag !== ignored),
  );
  const areNumbers = [...seen].every((tag) => /^\d+$/.test(tag));
  const names = classes ?? (areNumbers ? numbered(seen) : [...seen].sort());
  const numberOf = new Map(names.map((name, number) => [name, number]));
  const arrays = parts.map(({ path, rows }) => {
    const targets = new Int32Array(rows.length * length).fill(ignoredLabel);
    rows.forEach(({ record, firsts }, row) => {
      const tags = required(record.tags, "tags", path, record.line);
      tags.forEach((tag, word) => {
        const place = firsts[word];
        if (String(tag) === ignored || place === undefined) return;
        const number = numberOf.get(String(tag));
        if (number === undefined) {
          throw new FileFormatError(`the tag ${JSON.stringify(tag)} is not one of ${shortList(names)}`, {
            where: `${path}, line ${record.line}`,
            remedy: "The tags are those of the training part, or data.classes.",
          });
        }
        targets[row * length + place] = number;
      });
    });
    return targets;
  });
  const target: LabelType = { kind: "dense", shape: [length], classes: names, meaning: "tokens" };
  return { target, arrays, notes: ["each word has its tag at its first token; the others do not count"] };
}

/** 0 to the largest number, as words. */
function numbered(tags: ReadonlySet<string>): string[] {
  const largest = Math.max(0, ...[...tags].map(Number));
  return Array.from({ length: largest + 1 }, (_, tag) => `${tag}`);
}
