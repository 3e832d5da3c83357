/** Data sets from NPY and NPZ files: pairs of samples and targets, in memory or, when larger, read as they are needed. */

import { open, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { defined } from "../../base/defined.ts";
import { FileFormatError } from "../../errors.ts";
import { readBytes } from "../../io/read-bytes.ts";
import { readZip } from "../../io/zip.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { inMemoryDataset, type LabelType, type SampleArray, type TargetArray } from "../dataset/dataset.ts";
import type { ArrayLayout, LoadedData, Task } from "../dataset/loaded-data.ts";
import { noNormalization } from "../dataset/normalization.ts";
import { defaultMemoryBytes, streamedDataset } from "../dataset/streamed-dataset.ts";
import type { LabelledDataset } from "../dataset/subset.ts";
import { decideNumberTargets, type NumberTargets } from "../dataset/targets.ts";
import { type NamedPair, partsByName } from "./array-names.ts";
import {
  checkNpyLength,
  decodeNpy,
  decodeNpyHeader,
  decodeNumbers,
  decodeSamples,
  type NpyArray,
  type NpyHeader,
  npyHeaderBytes,
  npyTypeName,
  toRowMajor,
} from "./npy.ts";

/** How arrays become samples. */
export interface ArrayOptions {
  readonly task?: Task;
  readonly classes?: readonly string[];
  /**
   * What the dimensions after the first mean: channels first (`chw`), channels last (`hwc`), or nothing (`asIs`). `auto`
   * takes four dimensions for images, channels last where only the last one can be channels, and three for grey images.
   */
  readonly layout?: ArrayLayout;
  readonly memoryBytes?: number;
}

/** An array that may stay in its file. */
interface ArrayFile {
  readonly name: string;
  readonly where: string;
  readonly header: NpyHeader;
  /** Where the file lies, when it is not packed. */
  readonly path?: string;
  read(): Promise<NpyArray>;
}

/** Opens an NPZ file. @throws FileFormatError. */
export async function openNpz(path: string, options: ArrayOptions): Promise<LoadedData> {
  const entries = readZip(await readBytes(path), path).filter(({ name }) => name.endsWith(".npy"));
  const arrays = entries.map((entry): ArrayFile => {
    const where = `${path}, ${entry.name}`;
    const array = decodeNpy(entry.read(), where);
    return { name: entry.name.replace(/\.npy$/, ""), where, header: array, read: async () => array };
  });
  return fromArrays("npz", path, arrays, options);
}

/** Opens NPY files that lie in one folder. @throws FileFormatError. */
export async function openNpy(folder: string, files: readonly string[], options: ArrayOptions): Promise<LoadedData> {
  const arrays = await Promise.all(files.map((file) => npyFile(join(folder, file))));
  const place = files.length === 1 ? join(folder, files[0] ?? "") : folder;
  return fromArrays("npy", place, arrays, options);
}

async function npyFile(path: string): Promise<ArrayFile> {
  const { size } = await stat(path).catch(() => ({ size: 0 }));
  const header = decodeNpyHeader(await readRange(path, 0, Math.min(size, npyHeaderBytes)), path);
  checkNpyLength(header, size, path);
  return {
    name: basename(path),
    where: path,
    header,
    path,
    read: async () => decodeNpy(await readBytes(path), path),
  };
}

async function readRange(path: string, start: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const handle = await open(path, "r").catch((cause: unknown) => {
    throw new FileFormatError("the file cannot be opened", { where: path, cause });
  });
  try {
    const { bytesRead } = await handle.read(bytes, 0, length, start);
    if (bytesRead === length) return bytes;
    throw new FileFormatError(`the file is truncated: ${start + bytesRead} bytes`, { where: path });
  } finally {
    await handle.close();
  }
}

async function fromArrays(
  kind: "npy" | "npz",
  place: string,
  arrays: readonly ArrayFile[],
  options: ArrayOptions,
): Promise<LoadedData> {
  const { train, test, notes } = partsByName(arrays, place);
  const pairs = [train, ...(test === undefined ? [] : [test])];
  const raw: NumberTargets[] = [];
  for (const { samples, targets } of pairs) {
    if (targets === undefined || options.task === "none") continue;
    raw.push(await readTargets(samples, targets));
  }
  const decided = decideNumberTargets(raw, options.task ?? "auto", options.classes);
  const built: LabelledDataset[] = [];
  for (const [number, pair] of pairs.entries()) {
    const name = test === undefined ? place : `${place} ${number === 0 ? "train" : "test"}`;
    built.push(await samplesOf(name, pair, decided.target, decided.arrays[number] ?? new Float32Array(0), options));
  }
  const [trainPart, testPart] = built;
  if (trainPart === undefined) throw new FileFormatError("there are no samples", { where: place });
  const described = pairs
    .flatMap(({ samples, targets }) => [samples, ...(targets === undefined ? [] : [targets])])
    .map(({ name, header }) => `${name} ${npyTypeName(header.type)} [${header.shape.join(", ")}]`);
  return {
    kind,
    train: trainPart,
    ...defined({ test: testPart }),
    notes: [`arrays ${described.join(", ")}`, ...notes, ...targetNotes(train.targets, decided.target, raw[0])],
  };
}

async function readTargets(samples: ArrayFile, targets: ArrayFile): Promise<NumberTargets> {
  const [count] = samples.header.shape;
  const [found, ...rest] = targets.header.shape;
  if (found !== count) {
    throw new FileFormatError(`${found ?? 1} targets do not fit the ${count ?? 1} samples in ${samples.name}`, {
      where: targets.where,
      remedy: "Give as many targets as samples, in the same order.",
    });
  }
  const array = toRowMajor(await targets.read());
  const shape = rest.length === 1 && rest[0] === 1 ? [] : rest;
  return { where: targets.where, values: decodeNumbers(array), shape, isInteger: array.type.kind !== "f" };
}

/** Describes the kind of the targets. */
function targetNotes(file: ArrayFile | undefined, target: LabelType, raw: NumberTargets | undefined): string[] {
  if (file === undefined || raw === undefined || target.kind === "none") return [];
  if (target.kind === "classes") return [`${file.name} is the class of each sample, 0 to ${target.classes.length - 1}`];
  const count = elementCount(target.shape);
  const note = `${file.name} is ${count} ${count === 1 ? "value" : "values"} to predict for each sample`;
  if (!isOneHot(raw.values, count)) return [note];
  return [`${note}; its rows look like one-hot classes: save their numbers, y.argmax(1), to classify`];
}

function isOneHot(values: Float64Array, length: number): boolean {
  if (length < 2) return false;
  return values.every((value, i) => {
    if (value !== 0 && value !== 1) return false;
    return i % length !== 0 || values.subarray(i, i + length).reduce((sum, each) => sum + each, 0) === 1;
  });
}

/** @throws FileFormatError naming the first sample with an element that is NaN or infinite. */
function checkFinite(elements: SampleArray, length: number, where: string): void {
  if (elements instanceof Uint8Array) return;
  const wrong = elements.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return;
  throw new FileFormatError(`sample ${Math.floor(wrong / length)} holds ${elements[wrong]}`, {
    where,
    remedy: "Remove such samples, or fill in what is missing.",
  });
}

async function samplesOf(
  name: string,
  { samples }: NamedPair<ArrayFile>,
  target: LabelType,
  targets: TargetArray,
  options: ArrayOptions,
): Promise<LabelledDataset> {
  const { header, path } = samples;
  const [count = 0, ...each] = header.shape;
  if (count === 0 || elementCount(each) === 0) {
    throw new FileFormatError(`an array of the shape [${header.shape.join(", ")}] holds no samples`, {
      where: samples.where,
    });
  }
  const { shape, channelsLast } = layoutOf(each, options.layout ?? "auto");
  const sampleType = header.type.kind === "u" && header.type.bytes === 1 ? "uint8" : "float32";
  const length = elementCount(each);
  const common = { name, sampleShape: shape, targets, target, normalization: noNormalization(shape, sampleType) };
  const labels = targets instanceof Int32Array ? { labels: targets } : {};
  const limit = options.memoryBytes ?? defaultMemoryBytes;
  const inMemory = count * length * (sampleType === "uint8" ? 1 : 4);
  if (inMemory <= limit || path === undefined || header.isFortranOrder) {
    const array = toRowMajor(await samples.read());
    const elements = decodeSamples(array.bytes, array.type);
    checkFinite(elements, length, samples.where);
    if (channelsLast) {
      for (let start = 0; start < elements.length; start += length) {
        elements.set(channelsFirst(elements.subarray(start, start + length), shape), start);
      }
    }
    return { dataset: inMemoryDataset({ ...common, samples: elements }), ...labels };
  }
  const { bytes } = header.type;
  const dataset = streamedDataset({
    ...common,
    sampleType,
    storedShape: shape,
    memoryBytes: limit,
    source: {
      count,
      sampleBytes: length * (sampleType === "uint8" ? 1 : 4),
      name: (index) => `${path}, sample ${index}`,
      async load(index) {
        const range = await readRange(path, header.dataOffset + index * length * bytes, length * bytes);
        const elements = decodeSamples(range, header.type);
        const wrong = elements.find((value) => !Number.isFinite(value));
        if (wrong !== undefined) return { reason: `it holds ${wrong}` };
        return { samples: channelsLast ? channelsFirst(elements, shape) : elements };
      },
    },
  });
  return { dataset, ...labels };
}

/** The shape [C, H, W] or [F] of a sample, from its dimensions in the file. */
function layoutOf(each: Shape, layout: ArrayLayout): { readonly shape: Shape; readonly channelsLast: boolean } {
  const [first = 1, second = 1, third = 1] = each;
  if (each.length === 0) return { shape: [1], channelsLast: false };
  if (layout === "asIs" || each.length === 1 || each.length > 3) return { shape: each, channelsLast: false };
  if (each.length === 2) return { shape: [1, first, second], channelsLast: false };
  const mayBeChannels = (size: number) => size === 1 || size === 3 || size === 4;
  const isLast = layout === "hwc" || (layout === "auto" && mayBeChannels(third) && !mayBeChannels(first));
  return isLast ? { shape: [third, first, second], channelsLast: true } : { shape: each, channelsLast: false };
}

/** [H, W, C] as [C, H, W]. */
function channelsFirst(sample: SampleArray, [channels = 1]: Shape): SampleArray {
  if (channels === 1) return sample;
  // Not slice: that of a Buffer is a view of the same bytes.
  const planes = sample instanceof Uint8Array ? new Uint8Array(sample.length) : new Float32Array(sample.length);
  const length = sample.length / channels;
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < length; i++) planes[channel * length + i] = sample[i * channels + channel] ?? 0;
  }
  return planes;
}
