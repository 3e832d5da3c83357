/** Data sets from NPY and NPZ files: pairs of samples and targets, in memory or, when larger, read as they are needed. */

import { join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { FileFormatError } from "../../../errors.ts";
import { allocateBytes, checkMemory, readRange } from "../../../io/file-bytes.ts";
import { elementCount, type Shape } from "../../../ir/types.ts";
import type { FileInput } from "../../../onnx/read/file.ts";
import { inMemoryDataset, type LabelType, type SampleArray, type TargetArray } from "../../dataset/dataset.ts";
import type { ArrayLayout, LoadedData, Task } from "../../dataset/loaded-data.ts";
import { defaultMemoryBytes, streamedDataset } from "../../dataset/streamed-dataset.ts";
import type { LabelledDataset } from "../../dataset/subset.ts";
import { decideNumberTargets, type NumberTargets } from "../../dataset/targets.ts";
import { noNormalization } from "../../normalization/normalization.ts";
import { readTargets, targetNotes } from "./array-targets.ts";
import { type ArrayFile, arraysOfNpy, arraysOfNpz, type NamedArray, onlyArrayOfNpz } from "./files.ts";
import { type NamedPair, partsByName } from "./names.ts";
import { readsByInput, samplesByInput } from "./network-inputs.ts";
import { decodeElements, type NpyHeader, npyTypeName } from "./npy.ts";

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
  /** The class number of positions that do not count; default -100 for tokens, 255 for regions. */
  readonly ignoreIndex?: number;
  /** The inputs of the network that the data is for, as its file states them. Absent: one input of floats. */
  readonly inputs?: readonly FileInput[];
  /** Names of inputs that the file states and nothing reads: arrays for them are not used. */
  readonly unusedInputs?: readonly string[];
}

/** A sample beyond this is no sample: a batch of them would not fit into memory. */
const mostSampleBytes = 2 ** 28;
const mostSamples = 2 ** 31 - 1;

/** Opens an NPZ file, or several of one array each, whose names say what it is for. @throws FileFormatError. */
export async function openNpz(folder: string, files: readonly string[], options: ArrayOptions): Promise<LoadedData> {
  const paths = files.map((file) => join(folder, file));
  const [only = folder] = paths;
  if (paths.length < 2) return fromArrays("npz", only, await arraysOfNpz(only), options);
  const arrays: NamedArray[] = [];
  for (const path of paths) arrays.push(await onlyArrayOfNpz(path));
  return fromArrays("npz", folder, arrays, options);
}

/** Opens NPY files that lie in one folder. @throws FileFormatError. */
export async function openNpy(folder: string, files: readonly string[], options: ArrayOptions): Promise<LoadedData> {
  const place = files.length === 1 ? join(folder, files[0] ?? "") : folder;
  return fromArrays("npy", place, arraysOfNpy(folder, files), options);
}

async function fromArrays(
  kind: "npy" | "npz",
  place: string,
  arrays: readonly NamedArray[],
  options: ArrayOptions,
): Promise<LoadedData> {
  const { inputs = [] } = options;
  if (readsByInput(inputs)) return { kind, ...(await samplesByInput(place, arrays, inputs, options)) };
  const { train, test, notes } = partsByName(arrays, place);
  const pairs: NamedPair<ArrayFile>[] = [];
  for (const { samples, targets } of [train, ...(test === undefined ? [] : [test])]) {
    const opened = { samples: await samples.open(), targets: await targets?.open() };
    pairs.push({ samples: opened.samples, ...defined({ targets: opened.targets }) });
  }
  for (const pair of pairs) checkShapes(pair, options);
  const raw: NumberTargets[] = [];
  for (const { samples, targets } of pairs) {
    if (targets === undefined || options.task === "none") continue;
    raw.push(await readTargets(samples.name, targets, options));
  }
  const decided = decideNumberTargets(raw, options.task ?? "auto", options.classes, options.ignoreIndex);
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
    notes: [`arrays ${described.join(", ")}`, ...notes, ...targetNotes(pairs[0]?.targets, decided.target, raw[0])],
  };
}

/** Compares the headers of a pair and what they ask for, before anything is read. */
function checkShapes({ samples, targets }: NamedPair<ArrayFile>, options: ArrayOptions): void {
  const [count = 0, ...each] = samples.header.shape;
  if (count === 0 || elementCount(each) === 0) {
    throw new FileFormatError(`an array of the shape [${samples.header.shape.join(", ")}] holds no samples`, {
      where: samples.where,
    });
  }
  if (count > mostSamples) {
    throw new FileFormatError(`it holds ${count} samples, at most ${mostSamples} are read`, { where: samples.where });
  }
  const remedy = "A sample is what the first dimension counts: check the shape.";
  checkMemory(elementCount(each) * elementBytes(samples.header), mostSampleBytes, samples.where, remedy);
  if (targets === undefined || options.task === "none") return;
  const [found] = targets.header.shape;
  if (found !== count) {
    throw new FileFormatError(`${found ?? 1} targets do not fit the ${count} samples in ${samples.name}`, {
      where: targets.where,
      remedy: "Give as many targets as samples, in the same order.",
    });
  }
}

function isBytes({ type }: NpyHeader): boolean {
  return type.kind === "u" && type.bytes === 1;
}

/** Bytes of an element in memory. */
function elementBytes(header: NpyHeader): number {
  return isBytes(header) ? 1 : 4;
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
  const { header, place } = samples;
  const [count = 0, ...each] = header.shape;
  const { shape, channelsLast } = layoutOf(each, options.layout ?? "auto");
  const sampleType = isBytes(header) ? "uint8" : "float32";
  const length = elementCount(each);
  const common = { name, sampleShape: shape, targets, target, normalization: noNormalization(shape, sampleType) };
  const labels = target.kind === "classes" && targets instanceof Int32Array ? { labels: targets } : {};
  const limit = options.memoryBytes ?? defaultMemoryBytes;
  const inMemory = count * length * elementBytes(header);
  if (inMemory <= limit || place === undefined || header.isFortranOrder) {
    const why = place === undefined ? "it is packed" : "it is in Fortran order";
    const remedy = `Not read as needed, because ${why}: save it with numpy.save in C order, or set data.memoryBytes to ${inMemory}.`;
    checkMemory(inMemory, limit, samples.where, remedy);
    const { buffer } = allocateBytes(inMemory, samples.where);
    const elements = sampleType === "uint8" ? new Uint8Array(buffer) : new Float32Array(buffer);
    await decodeElements(samples.chunks(), header, elements);
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
      sampleBytes: length * elementBytes(header),
      name: (index) => `${place.path}, sample ${index}`,
      async load(index) {
        const range = await readRange(place.path, place.start + index * length * bytes, length * bytes);
        const elements = sampleType === "uint8" ? range : new Float32Array(length);
        if (elements !== range) await decodeElements([range], header, elements);
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
