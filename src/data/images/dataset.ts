/** Folders of images as data sets: size and channels, and decoding on demand or once into a cache. */

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defined } from "../../base/defined.ts";
import { randomStream } from "../../base/random.ts";
import { ConfigError } from "../../errors.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import type { LabelType } from "../dataset/dataset.ts";
import type { LoadedData } from "../dataset/loaded-data.ts";
import { Limiter, type SampleSource } from "../dataset/sample-store.ts";
import { streamedDataset } from "../dataset/streamed-dataset.ts";
import type { LabelledDataset } from "../dataset/subset.ts";
import { noNormalization } from "../normalization/normalization.ts";
import { decodedCache } from "./decoded-cache.ts";
import { ImageDecoder } from "./decoder.ts";
import { decodeInThread } from "./decoding-thread.ts";
import { findImages, type ImageList, noneReadable } from "./files.ts";
import { shortList } from "./list-folder.ts";
import type { SixteenBit } from "./pixels.ts";

/** How images become samples. */
export interface ImageOptions {
  /** Height and width of a sample, or one number for both; see {@link defaultSize}. */
  readonly size?: number | readonly [number, number];
  /** Length that the shorter side is resized to before the crop; 8/7 of the size (256 for 224) from 64 up, else the size. */
  readonly resize?: number;
  /** 1 for grey, 3 for red, green and blue; default: the channels of the files. */
  readonly channels?: 1 | 3;
  /** Meaning of grey values of 16 bits; default `clip`, as Pillow and torchvision read them. */
  readonly sixteenBit?: SixteenBit;
  /** Folder for a cache file of decoded images; without it every epoch decodes what memory cannot hold. */
  readonly cache?: string;
  /** Memory that decoded images of a part may take. */
  readonly memoryBytes?: number;
  /** Class names in the order of their numbers, such as those that a network was trained with. */
  readonly classes?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Default size of a sample where the images have several sizes, or one above {@link largestOwnSize}. */
export const defaultSize = 64;
/** Images that all have one size keep it up to this size. */
const largestOwnSize = 128;
/** File headers read before training, so that most damaged images are known; larger sets are sampled. */
const mostHeaders = 20_000;
/** Images requested from the decoding thread at once: the batches ahead, so that it has them before a step begins. */
const mostAsked = 4096;
const sampledHeaders = 1000;

/** Opens a folder of images. @throws FileFormatError, ConfigError, UnsupportedError (without sharp). */
export async function openImages(folder: string, options: ImageOptions): Promise<LoadedData> {
  const parts = await findImages(folder);
  const decoder = await ImageDecoder.create();
  const notes: string[] = [];
  const train = await surveyImages(parts.train, decoder, options);
  const test = parts.test === undefined ? undefined : await surveyImages(parts.test, decoder, options);
  const { stored, sample } = imageShapes(train, options, notes);
  const target = targetOf(parts.train, options);
  describeParts(folder, parts.partFolders, parts.train, notes);
  notes.push(...parts.notes);
  notes.push(...sixteenBitNotes(train, options));
  const open = (list: ImageList, survey: Survey, part: string) =>
    openPart(
      relabel(list, options),
      survey,
      { name: `${folder} ${part}`.trim(), target, stored, sample },
      decoder,
      options,
    );
  return {
    kind: "images",
    train: await open(parts.train, train, test === undefined ? "" : "train"),
    ...(parts.test === undefined || test === undefined ? {} : { test: await open(parts.test, test, "test") }),
    notes,
  };
}

function describeParts(folder: string, partFolders: readonly string[], list: ImageList, notes: string[]): void {
  const { files, classes, otherFiles } = list;
  const what =
    classes === undefined
      ? "without class folders, so without labels"
      : `in ${classes.length} class ${classes.length === 1 ? "folder" : "folders"}`;
  const where = partFolders.length > 0 ? ` in ${partFolders.join("/ and ")}/` : "";
  // A single part also gives the validation samples.
  const purpose = partFolders.length > 1 ? " to train on" : "";
  notes.unshift(`images${where}: ${files.length}${purpose}, ${what}`);
  if (otherFiles > 0) {
    notes.push(`${otherFiles} ${otherFiles === 1 ? "file" : "files"} in ${folder} ignored: not images of a class`);
  }
}

function sixteenBitNotes({ deepGrey }: Survey, { sixteenBit = "clip" }: ImageOptions): string[] {
  if (deepGrey === 0) return [];
  const what = `${deepGrey} ${deepGrey === 1 ? "image is" : "images are"} grey with 16 bits`;
  return sixteenBit === "scale"
    ? [`${what}: 65535 becomes 255`]
    : [`${what}: values above 255 become 255, as in Pillow and torchvision; data.sixteenBit=scale divides them by 256`];
}

function targetOf(list: ImageList, options: ImageOptions): LabelType {
  if (list.classes === undefined) return { kind: "none" };
  return { kind: "classes", classes: options.classes ?? list.classes };
}

/** Returns the list with the numbers of the given classes. */
function relabel(list: ImageList, options: ImageOptions): ImageList {
  const { classes: own } = list;
  const { classes: given } = options;
  if (own === undefined || given === undefined) return list;
  const unknown = own.find((name) => !given.includes(name));
  if (unknown !== undefined) {
    throw new ConfigError(`the class folder ${unknown} is not one of the classes ${shortList(given)}`, {
      where: list.folder,
      remedy: "Rename the folder to one of them, or remove it.",
    });
  }
  return { ...list, labels: list.labels.map((label) => given.indexOf(own[label] ?? "")) };
}

/** Information from the headers of the files. */
export interface Survey {
  /** Height and width by number in the list, of the files that were looked at. */
  readonly sizes: ReadonlyMap<number, readonly [number, number]>;
  readonly skipped: ReadonlyMap<number, string>;
  readonly isGrey: boolean;
  /** Number of images that are grey with 16 bits. */
  readonly deepGrey: number;
  /** Smallest and largest, as height and width. */
  readonly smallest: readonly [number, number];
  readonly largest: readonly [number, number];
}

/** Reads the headers of images: of all, or of a sample where there are many. @throws FileFormatError where none can be read. */
export async function surveyImages(
  list: ImageList,
  decoder: ImageDecoder,
  options: ImageOptions & { readonly isWhole?: boolean },
): Promise<Survey> {
  const { files, folder } = list;
  const isWhole = options.isWhole === true || files.length <= mostHeaders;
  const chosen = isWhole
    ? Array.from(files.keys())
    : Array.from(randomStream(0, "headers").permutation(files.length).subarray(0, sampledHeaders));
  const skipped = new Map<number, string>();
  const sizes = new Map<number, readonly [number, number]>();
  let isGrey = true;
  let deepGrey = 0;
  const limiter = new Limiter(2 * availableParallelism());
  await Promise.all(
    chosen.map((index) =>
      limiter.run(async () => {
        if (options.signal?.aborted) return;
        const header = await decoder.header(join(folder, files[index] ?? ""));
        if ("reason" in header) {
          skipped.set(index, header.reason);
          return;
        }
        sizes.set(index, [header.height, header.width]);
        isGrey &&= header.isGrey;
        if (header.isDeepGrey) deepGrey++;
      }),
    ),
  );
  const [first, ...others] = sizes.values();
  if (first === undefined) throw noneReadable(list, chosen.length, skipped);
  const extreme = (pick: (...values: number[]) => number): readonly [number, number] => [
    others.reduce((best, [height]) => pick(best, height), first[0]),
    others.reduce((best, [, width]) => pick(best, width), first[1]),
  ];
  return { sizes, skipped, isGrey, deepGrey, smallest: extreme(Math.min), largest: extreme(Math.max) };
}

/**
 * Returns the shape of decoded images and that of the samples cropped from them.
 *
 * @param options With `isWhole` nothing lies around the samples.
 * @throws ConfigError for sizes that are not possible.
 */
export function imageShapes(
  survey: Survey,
  options: ImageOptions & { readonly isWhole?: boolean },
  notes: string[],
): { stored: Shape; sample: Shape } {
  const channels = options.channels ?? (survey.isGrey ? 1 : 3);
  if (channels === 3 && survey.isGrey) notes.push("the images are grey: their values are repeated in 3 channels");
  if (channels === 1 && !survey.isGrey) notes.push("there are images in colour: they become grey");
  const [height, width] = sizeOf(survey, options, notes);
  const shorter = Math.min(height, width);
  const isOwn =
    options.size === undefined && [survey.smallest, survey.largest].every(([h, w]) => h === height && w === width);
  const usual = shorter >= 64 && !isOwn && options.isWhole !== true ? Math.round((shorter * 8) / 7) : shorter;
  const resize = options.resize ?? usual;
  if (!Number.isInteger(resize) || resize < shorter || resize > 8192) {
    throw new ConfigError(`images resized to ${resize} cannot be cropped to ${height}x${width}`, {
      where: "data.resize",
      remedy: `Give a whole number from ${shorter} to 8192.`,
    });
  }
  const factor = resize / shorter;
  const stored = [channels, Math.round(height * factor), Math.round(width * factor)];
  return { stored, sample: [channels, height, width] };
}

function sizeOf(survey: Survey, options: ImageOptions, notes: string[]): readonly [number, number] {
  const { size } = options;
  if (size !== undefined) {
    const [height, width] = typeof size === "number" ? [size, size] : size;
    if ([height, width].every((side) => Number.isInteger(side) && side >= 1 && side <= 4096)) return [height, width];
    throw new ConfigError(`images of ${height}x${width} are not possible`, {
      where: "data.size",
      remedy: "Give whole numbers from 1 to 4096, for example 224.",
    });
  }
  const [height, width] = survey.smallest;
  const isOne = height === survey.largest[0] && width === survey.largest[1];
  if (isOne && Math.max(height, width) <= largestOwnSize) return [height, width];
  const found = isOne ? `${height}x${width}` : `${height}x${width} to ${survey.largest.join("x")}`;
  notes.push(
    `images of ${found} (height x width), resized and cropped to ${defaultSize}x${defaultSize}; data.size changes that`,
  );
  return [defaultSize, defaultSize];
}

interface PartShape {
  readonly name: string;
  readonly target: LabelType;
  readonly stored: Shape;
  readonly sample: Shape;
}

async function openPart(
  list: ImageList,
  survey: Survey,
  { name, target, stored, sample }: PartShape,
  decoder: ImageDecoder,
  options: ImageOptions,
): Promise<LabelledDataset> {
  const readable = options.cache === undefined ? decodedWhenNeeded(list, survey, stored, options) : undefined;
  const { source, labels, skipped, concurrency } = readable ?? (await cached(list, stored, decoder, options));
  const dataset = streamedDataset({
    name,
    source,
    sampleType: "uint8",
    storedShape: stored,
    sampleShape: sample,
    targets: target.kind === "classes" ? labels : new Float32Array(0),
    target,
    normalization: noNormalization(sample, "uint8"),
    ...defined({ memoryBytes: options.memoryBytes, concurrency }),
  });
  const listed = Array.from(skipped, ([index, reason]) => ({
    name: join(list.folder, list.files[index] ?? ""),
    reason,
  }));
  const skippedAll = () => [...listed, ...(dataset.skipped?.() ?? [])];
  return { dataset: { ...dataset, skipped: skippedAll }, ...(target.kind === "classes" ? { labels } : {}) };
}

interface ReadableSource {
  readonly source: SampleSource;
  /** Samples requested at the same time; absent: as many as are read at the same time. */
  readonly concurrency?: number;
  readonly labels: Int32Array;
  /** By number in the list: what is not in the source. */
  readonly skipped: ReadonlyMap<number, string>;
}

/** Returns the images with intact headers. */
function decodedWhenNeeded(list: ImageList, survey: Survey, stored: Shape, options: ImageOptions): ReadableSource {
  const { skipped } = survey;
  const kept = Int32Array.from(list.files.keys()).filter((index) => !skipped.has(index));
  const path = (index: number) => join(list.folder, list.files[kept[index] ?? 0] ?? "");
  return {
    source: {
      count: kept.length,
      sampleBytes: elementCount(stored),
      name: path,
      load: (index) => decodeInThread(path(index), stored, options.sixteenBit),
    },
    concurrency: mostAsked,
    labels: kept.map((index) => list.labels[index] ?? 0),
    skipped,
  };
}

/** Returns the images that could be decoded when the cache was written. */
async function cached(
  list: ImageList,
  stored: Shape,
  decoder: ImageDecoder,
  options: ImageOptions,
): Promise<ReadableSource> {
  const cache = await decodedCache(options.cache ?? "", list, stored, decoder, {
    concurrency: Math.max(2, availableParallelism()),
    sixteenBit: options.sixteenBit ?? "clip",
    ...defined({ signal: options.signal, onProgress: options.onProgress }),
  });
  const { skipped } = cache;
  if (cache.count === 0) throw noneReadable(list, list.files.length, skipped);
  return {
    source: {
      count: cache.count,
      sampleBytes: elementCount(stored),
      name: (position) => `${cache.path}, sample ${position}`,
      load: (position) => cache.read(position),
    },
    labels: list.labels.filter((_, index) => !skipped.has(index)),
    skipped,
  };
}
