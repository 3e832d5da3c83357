/** Samples for a network with several inputs, or with one of whole numbers: an array for each, by the input's name. */
import { defined } from "../../../base/defined.ts";
import { FileFormatError } from "../../../errors.ts";
import { allocateBytes, checkMemory } from "../../../io/file-bytes.ts";
import { elementCount, type Shape } from "../../../ir/types.ts";
import type { FileInput } from "../../../onnx/read/file.ts";
import { inMemoryDataset, type LabelType, type TargetArray } from "../../dataset/dataset.ts";
import type { LoadedData, Task } from "../../dataset/loaded-data.ts";
import { type InputElements, packSamples } from "../../dataset/packed-samples.ts";
import { defaultMemoryBytes } from "../../dataset/streamed-dataset.ts";
import type { LabelledDataset } from "../../dataset/subset.ts";
import { decideNumberTargets, type NumberTargets } from "../../dataset/targets.ts";
import { readTargets, targetNotes } from "./array-targets.ts";
import { arraysByInput, type InputArrays } from "./assign.ts";
import type { ArrayFile, NamedArray } from "./files.ts";
import { decodeElements, npyTypeName } from "./npy.ts";

/** How the arrays of inputs are read. */
export interface NetworkInputOptions {
  readonly task?: Task;
  readonly classes?: readonly string[];
  readonly ignoreIndex?: number;
  readonly memoryBytes?: number;
  readonly unusedInputs?: readonly string[];
}

/** Whether arrays are read by the names of the inputs: where there are several, or where one is of whole numbers. */
export function readsByInput(inputs: readonly FileInput[]): boolean {
  return inputs.length > 1 || inputs.some(({ dtype }) => dtype.startsWith("int") || dtype.startsWith("uint"));
}

/**
 * Reads an array for each input of a network.
 *
 * @throws FileFormatError naming the array that is missing, that no input takes, that has another size, or that does not hold whole
 *   numbers where the network reads them.
 */
export async function samplesByInput(
  place: string,
  arrays: readonly NamedArray[],
  inputs: readonly FileInput[],
  options: NetworkInputOptions,
): Promise<Omit<LoadedData, "kind">> {
  const names = inputs.map(({ name }) => name);
  const assigned = arraysByInput(arrays, names, place, options.unusedInputs);
  const parts: InputArrays<ArrayFile>[] = [];
  for (const part of [assigned.train, ...(assigned.test === undefined ? [] : [assigned.test])]) {
    const opened = new Map<string, ArrayFile>();
    for (const [name, array] of part.inputs) opened.set(name, await array.open());
    parts.push({ inputs: opened, ...defined({ targets: await part.targets?.open() }) });
  }
  const counts = parts.map((part) => checkedCount(part, inputs, options));
  const raw: NumberTargets[] = [];
  for (const { targets } of parts) {
    if (targets !== undefined && options.task !== "none")
      raw.push(await readTargets(names.join(", "), targets, options));
  }
  const decided = decideNumberTargets(raw, options.task ?? "auto", options.classes, options.ignoreIndex);
  const built: LabelledDataset[] = [];
  for (const [number, part] of parts.entries()) {
    const name = parts.length === 1 ? place : `${place} ${number === 0 ? "train" : "test"}`;
    const targets = decided.arrays[number] ?? new Float32Array(0);
    built.push(await datasetOf(name, part, inputs, counts[number] ?? 0, { target: decided.target, targets }, options));
  }
  const [train, test] = built;
  if (train === undefined) throw new FileFormatError("there are no samples", { where: place });
  const described = parts
    .flatMap((part) => [...part.inputs.values(), ...(part.targets === undefined ? [] : [part.targets])])
    .map(({ name, header }) => `${name} ${npyTypeName(header.type)} [${header.shape.join(", ")}]`);
  const { normalization } = train.dataset;
  const notes = [
    `arrays ${described.join(", ")}`,
    ...assigned.notes,
    ...targetNotes(parts[0]?.targets, decided.target, raw[0]),
  ];
  return { train, ...defined({ test }), normalization, notes };
}

/** Compares the shapes of a part's arrays with each other and with the network's inputs; returns how many samples there are. */
function checkedCount(
  part: InputArrays<ArrayFile>,
  inputs: readonly FileInput[],
  { task = "auto" }: NetworkInputOptions,
): number {
  const symbols = new Map<string, { readonly size: number; readonly name: string }>();
  let first: ArrayFile | undefined;
  for (const input of inputs) {
    const array = part.inputs.get(input.name);
    if (array === undefined) continue;
    const [count = 0, ...each] = array.header.shape;
    if (count === 0 || elementCount(each) === 0) {
      throw new FileFormatError(`an array of the shape [${array.header.shape.join(", ")}] holds no samples`, {
        where: array.where,
      });
    }
    first ??= array;
    const [wanted = 0] = first.header.shape;
    if (count !== wanted) {
      throw new FileFormatError(`${array.name} holds ${count} samples, ${first.name} ${wanted}`, {
        where: array.where,
        remedy: "Give as many samples for each input, in the same order.",
      });
    }
    checkSizes(input, array, each, symbols, task === "nextToken" ? 1 : 0);
  }
  const [count = 0] = first?.header.shape ?? [];
  const found = part.targets?.header.shape[0];
  if (part.targets !== undefined && task !== "none" && found !== count) {
    throw new FileFormatError(
      `${found ?? 1} targets do not fit the ${count} samples in ${first?.name ?? "the arrays"}`,
      {
        where: part.targets.where,
        remedy: "Give as many targets as samples, in the same order.",
      },
    );
  }
  return count;
}

/** @param more Elements that the last axis may have beyond the network's: the token after the last one. */
function checkSizes(
  { name, dimensions }: FileInput,
  array: ArrayFile,
  each: Shape,
  symbols: Map<string, { readonly size: number; readonly name: string }>,
  more: number,
): void {
  const wanted = dimensions?.slice(1);
  if (wanted === undefined) return;
  const show = (sizes: readonly (number | string | undefined)[]) =>
    `[N, ${sizes.map((size) => size ?? "?").join(", ")}]`;
  const fits = (axis: number, size: number) => {
    const stated = wanted[axis];
    if (typeof stated !== "number") return true;
    return size === stated || (axis === wanted.length - 1 && size === stated + more);
  };
  if (wanted.length !== each.length || !each.every((size, axis) => fits(axis, size))) {
    throw new FileFormatError(`${array.name} is ${show(each)}, the model takes ${show(wanted)} for ${name}`, {
      where: array.where,
      remedy: "Cut or pad the sequences to the model's length, or export the model for another one.",
    });
  }
  each.forEach((size, axis) => {
    const symbol = wanted[axis];
    if (typeof symbol !== "string") return;
    const known = symbols.get(symbol);
    if (known !== undefined && known.size !== size) {
      throw new FileFormatError(
        `${array.name} has ${size} elements along axis ${axis + 1}, ${known.name} has ${known.size}: the model calls both "${symbol}"`,
        { where: array.where, remedy: "Give masks and tokens of the same length." },
      );
    }
    symbols.set(symbol, { size, name: array.name });
  });
}

async function datasetOf(
  name: string,
  part: InputArrays<ArrayFile>,
  inputs: readonly FileInput[],
  count: number,
  labels: { readonly target: LabelType; readonly targets: TargetArray },
  options: NetworkInputOptions,
): Promise<LabelledDataset> {
  const read: InputElements[] = [];
  for (const input of inputs) {
    const array = part.inputs.get(input.name);
    if (array !== undefined) read.push(await elementsOf(input, array, options));
  }
  const dataset = inMemoryDataset({ name, ...packSamples(read, count), ...labels });
  const isClass = labels.target.kind === "classes" && labels.targets instanceof Int32Array;
  return { dataset, ...(isClass && labels.targets instanceof Int32Array ? { labels: labels.targets } : {}) };
}

async function elementsOf(
  input: FileInput,
  array: ArrayFile,
  { memoryBytes }: NetworkInputOptions,
): Promise<InputElements> {
  const { header, where } = array;
  const [, ...shape] = header.shape;
  const isWhole = input.dtype !== "float32" && input.dtype !== "float16" && input.dtype !== "float64";
  if (isWhole && header.type.kind === "f") {
    throw new FileFormatError(
      `${array.name} holds ${npyTypeName(header.type)}, the model's input ${input.name} ${input.dtype}`,
      {
        where,
        remedy: `Save whole numbers: ${array.name}.astype("int64").`,
      },
    );
  }
  const bytes = 8 * elementCount(header.shape);
  const most = Math.max(memoryBytes ?? 0, defaultMemoryBytes);
  checkMemory(bytes, most, where, `Set data.memoryBytes to ${bytes} or more.`);
  const values = new Float64Array(allocateBytes(bytes, where).buffer);
  await decodeElements(array.chunks(), header, values);
  const wrong = values.findIndex((value) => (isWhole ? Math.abs(value) >= 2 ** 31 : !Number.isFinite(value)));
  if (wrong >= 0) {
    const length = elementCount(shape);
    const at = `sample ${Math.floor(wrong / length)}, position ${wrong % length}`;
    throw new FileFormatError(`${at} of ${array.name} holds ${values[wrong]}${isWhole ? ", beyond 32 bits" : ""}`, {
      where,
      remedy: "Correct or remove that sample.",
    });
  }
  return { name: input.name, shape, elements: isWhole ? Int32Array.from(values) : Float32Array.from(values), where };
}
