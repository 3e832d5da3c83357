/** The task of a data set: what of it the network learns, and whether the data has that. */
import { ConfigError } from "../../errors.ts";
import type { FileInput } from "../../onnx/read/file.ts";
import { type Dataset, type DatasetSplits, describeTarget, type LabelType } from "../dataset/dataset.ts";
import type { Task } from "../dataset/loaded-data.ts";
import { withoutLabels } from "../dataset/subset.ts";
import { reconstructed } from "./autoencoder.ts";
import { type MaskingOptions, maskedTokens, maskingOf } from "./masked-tokens.ts";
import { nextTokens } from "./next-token.ts";
import { tokenPlaces } from "./token-part.ts";

/** The task, and what it needs to know. */
export interface TaskOptions extends MaskingOptions {
  readonly task?: Task;
  /** The inputs of the network that the data is for, as its file states them. */
  readonly inputs?: readonly FileInput[];
}

/** Both parts as the task has them, and what was decided, one sentence each. */
export interface TaskData extends DatasetSplits {
  readonly notes: readonly string[];
}

/** The kind of targets that a task reads from data, and how the command line calls the task; others make their own. */
const readTasks: Readonly<Partial<Record<Task, LabelType["kind"]>>> = {
  classification: "classes",
  regression: "values",
  tokenClassification: "dense",
  segmentation: "dense",
  detection: "boxes",
};

/**
 * Returns the parts with the targets of a task.
 *
 * @throws ConfigError where the data has others, or samples that the task is not for.
 */
export async function withTask(parts: DatasetSplits, options: TaskOptions): Promise<TaskData> {
  const { task = "auto" } = options;
  const { train, test } = parts;
  const each = (change: (part: Dataset) => Dataset): DatasetSplits => ({ train: change(train), test: change(test) });
  switch (task) {
    case "none":
      return { ...each((part) => (part.target.kind === "none" ? part : withoutLabels(part))), notes: [] };
    case "autoencoder": {
      const [first, second] = [await reconstructed(train, false), await reconstructed(test, true)];
      return { train: first.dataset, test: second.dataset, notes: second.notes };
    }
    case "maskedTokens": {
      const masking = await maskingOf(train, options);
      const percent = Math.round(100 * masking.share);
      const notes = [
        `${percent} % of the tokens are masked by ${masking.maskToken}, again in every epoch; random ones are drawn from ${masking.vocabulary}`,
      ];
      return { ...each((part) => maskedTokens(part, masking)), notes };
    }
    case "nextToken": {
      const { tokens } = tokenPlaces(train, task);
      const [only, second] = options.inputs ?? [];
      const stated = second === undefined ? only : options.inputs?.find(({ name }) => name === tokens.name);
      const length = stated?.dimensions?.at(-1);
      return { ...each((part) => nextTokens(part, typeof length === "number" ? length : undefined)), notes: [] };
    }
    default:
      return { ...each((part) => checkedTask(part, task)), notes: [] };
  }
}

function checkedTask(dataset: Dataset, task: Task): Dataset {
  const { kind } = dataset.target;
  const wanted = readTasks[task] ?? kind;
  if (wanted === kind) return dataset;
  throw new ConfigError(
    `the task is ${task}, but the data has ${kind === "classes" ? "classes" : kind === "values" ? "values" : describeTarget(dataset.target)}`,
    {
      where: `data set "${dataset.name}"`,
      remedy:
        kind === "none"
          ? "Add labels, or learn from a teacher: --task distillation."
          : `Omit the task, or use --task ${kind === "classes" ? "classification" : "regression"} or distillation.`,
    },
  );
}
