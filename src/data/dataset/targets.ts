/** Converts numbers or words from files to targets: class numbers with their names, or values. */
import { ConfigError, FileFormatError } from "../../errors.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { shortList } from "../images/list-folder.ts";
import { ignoredLabel, type LabelType, type TargetArray } from "./dataset.ts";
import { isMadeOfSamples, type Task } from "./loaded-data.ts";

/** Maximum number of classes: larger integers are not labels. */
export const mostClasses = 100_000;
/** Maximum number of different integers in a column of a table that are read as classes. */
const mostCountedClasses = 20;

/** The targets of one part as numbers. */
export interface NumberTargets {
  readonly where: string;
  readonly values: Float64Array;
  /** Of one sample: [] for one number. */
  readonly shape: Shape;
  /** Whether the elements are integers or booleans by type. */
  readonly isInteger: boolean;
}

/** The type of the targets, and their arrays in the order of the parts. */
export interface DecidedTargets {
  readonly target: LabelType;
  readonly arrays: readonly TargetArray[];
}

/**
 * Decides the targets from arrays of numbers. Without a task, single integers are class numbers and everything else is values.
 *
 * @param classes Names of the classes 0, 1 and so on; the numbers themselves up to the largest when not given.
 * @throws FileFormatError for labels that are negative, broken, or beyond the classes; ConfigError for a wrong task.
 */
export function decideNumberTargets(
  parts: readonly NumberTargets[],
  task: Task,
  classes?: readonly string[],
  ignoreIndex?: number,
): DecidedTargets {
  const [first] = parts;
  if (first === undefined || isMadeOfSamples(task)) {
    return { target: { kind: "none" }, arrays: parts.map(() => new Float32Array(0)) };
  }
  const contrary = parts.find((part) => part.shape.join() !== first.shape.join());
  if (contrary !== undefined) {
    throw new FileFormatError(
      `targets of the shape [${contrary.shape.join(", ")}] do not fit those of the training part, [${first.shape.join(", ")}]`,
      { where: contrary.where },
    );
  }
  const isSingle = elementCount(first.shape) === 1;
  if (isDense(task)) return decidePositions(parts, task, classes, ignoreIndex);
  // The labels of an autoencoder tell anomalies from normal samples; anything else is not used.
  if (task === "autoencoder" && !(isSingle && first.isInteger)) return decideNumberTargets([], task);
  const isClasses =
    task === "classification" || ((task === "auto" || task === "autoencoder") && isSingle && first.isInteger);
  if (!isClasses) return { target: { kind: "values", shape: first.shape }, arrays: parts.map(valuesOf) };
  if (!isSingle) {
    throw new ConfigError(
      `classification needs one class number for each sample, the targets have the shape [${first.shape.join(", ")}]`,
      {
        where: first.where,
        remedy: "Save the numbers of the classes (one-hot rows: y.argmax(1)), or choose the task regression.",
      },
    );
  }
  const arrays = parts.map((part) => labelsOf(part, classes?.length));
  const largest = arrays.reduce((most, labels) => labels.reduce((a, b) => Math.max(a, b), most), 0);
  const names = classes ?? Array.from({ length: largest + 1 }, (_, label) => `${label}`);
  return { target: { kind: "classes", classes: names }, arrays };
}

/** The tasks of a class for each position: the label of positions that do not count by default, and what the classes stand for. */
const denseTasks = {
  tokenClassification: { ignoreIndex: -100, meaning: "tokens" },
  segmentation: { ignoreIndex: 255, meaning: "regions" },
} as const;

/** The class numbers that do not count by default. */
export const defaultIgnoredIndex: Readonly<Record<keyof typeof denseTasks, number>> = {
  tokenClassification: denseTasks.tokenClassification.ignoreIndex,
  segmentation: denseTasks.segmentation.ignoreIndex,
};

function isDense(task: Task): task is keyof typeof denseTasks {
  return task in denseTasks;
}

/** Decides classes of positions; those with the ignored index count in neither the loss nor the metric. */
function decidePositions(
  parts: readonly NumberTargets[],
  task: keyof typeof denseTasks,
  classes: readonly string[] | undefined,
  given: number | undefined,
): DecidedTargets {
  const { ignoreIndex, meaning } = denseTasks[task];
  const ignored = given ?? ignoreIndex;
  const arrays = parts.map((part) => positionsOf(part, ignored, classes?.length));
  const largest = arrays.reduce((most, labels) => labels.reduce((a, b) => Math.max(a, b), most), 0);
  const names = classes ?? Array.from({ length: largest + 1 }, (_, label) => `${label}`);
  return { target: { kind: "dense", shape: parts[0]?.shape ?? [], classes: names, meaning }, arrays };
}

function positionsOf({ values, where, shape }: NumberTargets, ignored: number, classCount = mostClasses): Int32Array {
  const wrong = values.findIndex(
    (value) => value !== ignored && (!Number.isInteger(value) || value < 0 || value >= classCount),
  );
  if (wrong < 0) return Int32Array.from(values, (value) => (value === ignored ? ignoredLabel : value));
  const length = elementCount(shape);
  throw new FileFormatError(
    `sample ${Math.floor(wrong / length)}, position ${wrong % length} has the class ${values[wrong]}, which is neither a whole number from 0 to ${classCount - 1} nor ${ignored}, which is ignored`,
    { where, remedy: "Correct the labels, or name the label to ignore with data.ignoreIndex." },
  );
}

function valuesOf({ values, where }: NumberTargets): Float32Array {
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return Float32Array.from(values);
  throw new FileFormatError(`target ${wrong} is ${values[wrong]}`, {
    where,
    remedy: "Remove samples without a value.",
  });
}

function labelsOf({ values, where }: NumberTargets, classCount: number | undefined): Int32Array {
  const end = classCount ?? mostClasses;
  const wrong = values.findIndex((value) => !Number.isInteger(value) || value < 0 || value >= end);
  if (wrong < 0) return Int32Array.from(values);
  throw new FileFormatError(
    `sample ${wrong} has the label ${values[wrong]}, which is not a whole number from 0 to ${end - 1}`,
    {
      where,
      remedy:
        classCount === undefined
          ? "Number the classes from 0, or choose the task regression."
          : `There are ${classCount} classes; give more names, or correct the labels.`,
    },
  );
}

/** The targets of one part as the words of a table, one for each sample. */
export interface WordTargets {
  readonly where: string;
  readonly words: readonly string[];
  /** Number of the row that holds the first word. */
  readonly firstRow: number;
  /** What a row is called; default "row". */
  readonly unit?: string;
}

/** {@link DecidedTargets} with a note for the user. */
export interface DecidedWords extends DecidedTargets {
  readonly note: string;
}

/**
 * Decides the targets from one column of a table. Without a task, words and up to twenty different integers are classes;
 * other numbers are values.
 *
 * @throws FileFormatError naming the row of a target that is missing, not a number, or not one of the classes.
 */
export function decideWordTargets(
  parts: readonly WordTargets[],
  column: string,
  task: Task,
  classes?: readonly string[],
): DecidedWords {
  const [first] = parts;
  const distinct = [...new Set(first?.words)];
  const numbers = distinct.map(Number);
  const areNumbers = distinct.every((word) => word !== "") && numbers.every(Number.isFinite);
  const areCounted = numbers.every(Number.isInteger) && distinct.length <= mostCountedClasses;
  const isClasses =
    task === "classification" ||
    ((task === "auto" || task === "autoencoder") && (classes !== undefined || !areNumbers || areCounted));
  if (!isClasses) {
    return {
      target: { kind: "values", shape: [] },
      arrays: parts.map((part) => numbersOf(part, column)),
      note: `column "${column}" is the value to predict; data.task: classification takes it as classes`,
    };
  }
  const names = classes ?? (areNumbers ? distinct.sort((a, b) => Number(a) - Number(b)) : distinct.sort());
  if (names.length > mostClasses) {
    throw new FileFormatError(`column "${column}" has ${names.length} different words, too many for classes`, {
      ...(first === undefined ? {} : { where: first.where }),
      remedy: "Name the column of the labels with data.target.",
    });
  }
  return {
    target: { kind: "classes", classes: names },
    arrays: parts.map((part) => classNumbersOf(part, column, names)),
    note: `column "${column}" is the class${areNumbers ? "; data.task: regression takes it as a value" : ""}`,
  };
}

function numbersOf({ words, where, firstRow, unit = "row" }: WordTargets, column: string): Float32Array {
  const wrong = words.findIndex((word) => word === "" || !Number.isFinite(Number(word)));
  if (wrong < 0) return Float32Array.from(words, Number);
  throw new FileFormatError(
    `column "${column}" holds ${words[wrong] === "" ? "nothing" : JSON.stringify(words[wrong])}, which is not a number`,
    {
      where: `${where}, ${unit} ${firstRow + wrong}`,
      remedy: "Correct or remove that row, or choose the task classification.",
    },
  );
}

function classNumbersOf(
  { words, where, firstRow, unit = "row" }: WordTargets,
  column: string,
  names: readonly string[],
): Int32Array {
  const numbers = new Map(names.map((name, number) => [name, number]));
  return Int32Array.from(words, (word, sample) => {
    const number = numbers.get(word);
    if (number !== undefined && word !== "") return number;
    const what =
      word === "" ? "no class" : `the class ${JSON.stringify(word)}, which is not one of ${shortList(names)}`;
    throw new FileFormatError(`column "${column}" holds ${what}`, {
      where: `${where}, ${unit} ${firstRow + sample}`,
      remedy: "Correct or remove that row; the classes are those of the training part.",
    });
  });
}
