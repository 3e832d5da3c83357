/** The targets of arrays: their numbers, and what is said of them. */
import { allocateBytes, checkMemory } from "../../../io/file-bytes.ts";
import { elementCount } from "../../../ir/types.ts";
import type { LabelType } from "../../dataset/dataset.ts";
import { defaultMemoryBytes } from "../../dataset/streamed-dataset.ts";
import type { NumberTargets } from "../../dataset/targets.ts";
import type { ArrayFile } from "./files.ts";
import { decodeElements } from "./npy.ts";

/** Reads the targets of samples. @throws FileFormatError where they do not fit the memory. */
export async function readTargets(
  samples: string,
  targets: ArrayFile,
  options: { readonly memoryBytes?: number },
): Promise<NumberTargets> {
  const [, ...rest] = targets.header.shape;
  const bytes = 8 * elementCount(targets.header.shape);
  const most = Math.max(options.memoryBytes ?? 0, defaultMemoryBytes);
  checkMemory(bytes, most, targets.where, `Set data.memoryBytes to ${bytes} or more; samples: ${samples}.`);
  const values = new Float64Array(allocateBytes(bytes, targets.where).buffer);
  await decodeElements(targets.chunks(), targets.header, values);
  const shape = rest.length === 1 && rest[0] === 1 ? [] : rest;
  return { where: targets.where, values, shape, isInteger: targets.header.type.kind !== "f" };
}

/** Describes the kind of the targets. */
export function targetNotes(file: ArrayFile | undefined, target: LabelType, raw: NumberTargets | undefined): string[] {
  if (file === undefined || raw === undefined || target.kind === "none") return [];
  if (target.kind === "classes") return [`${file.name} is the class of each sample, 0 to ${target.classes.length - 1}`];
  if (target.kind === "input" || target.kind === "boxes") return [];
  const count = elementCount(target.shape);
  if (target.kind === "dense") {
    return [`${file.name} is the class of each of ${count} positions, 0 to ${target.classes.length - 1}`];
  }
  const note = `${file.name} is ${count} ${count === 1 ? "value" : "values"} to predict for each sample`;
  if (!isOneHot(raw.values, count)) {
    const isMask = raw.isInteger && count > 1;
    return [isMask ? `${note}; data.task: tokenClassification or segmentation takes them for classes` : note];
  }
  return [`${note}; its rows look like one-hot classes: save their numbers, y.argmax(1), to classify`];
}

function isOneHot(values: Float64Array, length: number): boolean {
  if (length < 2) return false;
  return values.every((value, i) => {
    if (value !== 0 && value !== 1) return false;
    return i % length !== 0 || values.subarray(i, i + length).reduce((sum, each) => sum + each, 0) === 1;
  });
}
