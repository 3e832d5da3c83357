/** Images with masks, a class for each pixel, as data sets: images are decoded when needed, masks are in memory. */
import { join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { ConfigError, FileFormatError } from "../../../errors.ts";
import { checkMemory } from "../../../io/file-bytes.ts";
import { readBytes } from "../../../io/read-bytes.ts";
import { elementCount, type Shape } from "../../../ir/types.ts";
import { ignoredLabel, type LabelType } from "../../dataset/dataset.ts";
import type { LoadedData, Task } from "../../dataset/loaded-data.ts";
import { defaultMemoryBytes, streamedDataset } from "../../dataset/streamed-dataset.ts";
import { defaultIgnoredIndex, mostClasses } from "../../dataset/targets.ts";
import { type ImageOptions, imageShapes, type Survey, surveyImages } from "../../images/dataset.ts";
import { ImageDecoder } from "../../images/decoder.ts";
import { decodeInThread } from "../../images/decoding-thread.ts";
import { shortList } from "../../images/list-folder.ts";
import { noNormalization } from "../../normalization/normalization.ts";
import { findMasks, type MaskedPart } from "./layout.ts";
import { classFile, type MaskClasses, readMaskClasses } from "./names.ts";
import { decodeStoredNumbers, type StoredNumbers } from "./png.ts";

/** How images and masks become samples and targets. */
export interface MaskOptions extends ImageOptions {
  readonly task?: Task;
  /** The class number that does not count. */
  readonly ignoreIndex?: number;
}

/** Images requested from the decoding thread at once. */
const mostAsked = 4096;

/**
 * Opens a folder with `images/` and `masks/`.
 *
 * @throws FileFormatError naming the mask and the pixel of a class that does not exist, a mask of another size than its image, or an
 *   image that cannot be read; ConfigError for `resize`.
 */
export async function openMasks(folder: string, options: MaskOptions): Promise<LoadedData> {
  if (options.resize !== undefined) {
    throw new ConfigError("images are resized together with their masks", {
      where: "data.resize",
      remedy: "Leave it out; data.size is the size of the samples.",
    });
  }
  const parts = await findMasks(folder);
  const file = await readMaskClasses(folder);
  const decoder = await ImageDecoder.create();
  const notes = [...parts.notes];
  const survey = await surveyed(parts.train, decoder, options);
  const heldOut = parts.test === undefined ? undefined : await surveyed(parts.test, decoder, options);
  const own = { ...options, resize: undefined };
  const { sample } = imageShapes(survey, { ...defined(own), isWhole: true }, notes);
  const numbering = numberingOf(file, options);
  const read = (part: MaskedPart, its: Survey) => readMasks(part, its, sample, numbering, options);
  const train = await read(parts.train, survey);
  const test = parts.test === undefined || heldOut === undefined ? undefined : await read(parts.test, heldOut);
  const largest = [train, ...(test === undefined ? [] : [test])].reduce(
    (most, labels) => labels.reduce((a, b) => Math.max(a, b), most),
    0,
  );
  const classes = numbering.names ?? Array.from({ length: largest + 1 }, (_, label) => `${label}`);
  const target: LabelType = { kind: "dense", shape: sample.slice(1), classes, meaning: "regions" };
  const open = (part: MaskedPart, targets: Int32Array, name: string) => ({
    dataset: streamedDataset({
      name: `${folder} ${name}`.trim(),
      source: {
        count: part.images.length,
        sampleBytes: elementCount(sample),
        name: (index) => join(part.folder, part.images[index] ?? ""),
        load: (index) => decodeInThread(join(part.folder, part.images[index] ?? ""), sample, options.sixteenBit),
      },
      concurrency: mostAsked,
      sampleType: "uint8",
      storedShape: sample,
      sampleShape: sample,
      targets,
      target,
      normalization: noNormalization(sample, "uint8"),
      ...defined({ memoryBytes: options.memoryBytes }),
    }),
  });
  notes.unshift(`${parts.train.images.length} images with masks to train on, a class for each pixel`);
  notes.push(
    file === undefined
      ? `there is no ${classFile}: ${numbering.names === undefined ? "the classes are the numbers of the masks" : "the classes are those given"}`
      : `${classes.length} classes by ${classFile}: ${shortList(classes)}`,
  );
  return {
    kind: "masks",
    train: open(parts.train, train, test === undefined ? "" : "train"),
    ...(parts.test === undefined || test === undefined ? {} : { test: open(parts.test, test, "test") }),
    notes,
  };
}

async function surveyed(part: MaskedPart, decoder: ImageDecoder, options: ImageOptions): Promise<Survey> {
  const list = { folder: part.folder, files: part.images, labels: new Int32Array(part.images.length), otherFiles: 0 };
  // Each mask is compared with its image, so no header may be left out.
  const survey = await surveyImages(list, decoder, { ...options, isWhole: true });
  const [first] = [...survey.skipped].sort(([a], [b]) => a - b);
  if (first === undefined) return survey;
  throw new FileFormatError(`the image cannot be read: ${first[1]}`, {
    where: join(part.folder, part.images[first[0]] ?? ""),
    remedy: "Write it again, or remove it and its mask.",
  });
}

/** How stored numbers become class numbers. */
interface Numbering {
  readonly names: readonly string[] | undefined;
  readonly ignored: number;
  /** Class number by colour. */
  readonly colours: ReadonlyMap<number, number>;
}

function numberingOf(file: MaskClasses | undefined, { classes, ignoreIndex }: MaskOptions): Numbering {
  const ignored = ignoreIndex ?? defaultIgnoredIndex.segmentation;
  const names = classes ?? file?.names;
  if (file === undefined || classes === undefined) {
    return { names, ignored, colours: file?.colours ?? new Map() };
  }
  const unknown = file.names.find((name) => !classes.includes(name));
  if (unknown !== undefined) {
    throw new FileFormatError(`the class ${unknown} is not one of ${shortList(classes)}`, { where: file.path });
  }
  const isOther = file.names.some((name, index) => classes[index] !== name);
  if (isOther && file.colours.size === 0) {
    throw new FileFormatError(`the classes are in another order than ${shortList(classes)}`, {
      where: file.path,
      remedy: "The numbers in the masks would stand for other classes: write the masks again in that order.",
    });
  }
  const colours = new Map(
    [...file.colours].map(([colour, label]) => [colour, classes.indexOf(file.names[label] ?? "")]),
  );
  return { names: classes, ignored, colours };
}

/** The classes of all pixels of a part, cut and resized as the images are. */
async function readMasks(
  { folder, images, masks }: MaskedPart,
  survey: Survey,
  sample: Shape,
  numbering: Numbering,
  { memoryBytes = defaultMemoryBytes }: MaskOptions,
): Promise<Int32Array> {
  const [, height = 1, width = 1] = sample;
  const bytes = 4 * masks.length * height * width;
  checkMemory(bytes, memoryBytes, folder, `Set data.memoryBytes to ${bytes} or more, or data.size to less.`);
  const labels = new Int32Array(masks.length * height * width);
  for (const [index, name] of masks.entries()) {
    const where = join(folder, name);
    const mask = decodeStoredNumbers(await readBytes(where), where);
    const size = survey.sizes.get(index);
    if (size !== undefined && (size[0] !== mask.height || size[1] !== mask.width)) {
      throw new FileFormatError(
        `the mask has ${mask.height}x${mask.width} pixels (height x width), its image ${images[index]} ${size.join("x")}`,
        { where, remedy: "Give a mask of the size of its image." },
      );
    }
    const whole = classNumbers(mask, numbering, where);
    labels.set(coveringNearest(whole, mask, height, width), index * height * width);
  }
  return labels;
}

function classNumbers(mask: StoredNumbers, { names, ignored, colours }: Numbering, where: string): Int32Array {
  const { values, width, isColour } = mask;
  if (isColour && colours.size === 0) {
    throw new FileFormatError("the mask has colours, and no colour stands for a class", {
      where,
      remedy: `Name each class with its colour in ${classFile}, one on each line: road #804080. Or save class numbers.`,
    });
  }
  const end = names?.length ?? mostClasses;
  return Int32Array.from(values, (value, i) => {
    const label = isColour ? colours.get(value) : value === ignored ? ignoredLabel : value < end ? value : undefined;
    if (label !== undefined) return label;
    const place = `row ${Math.floor(i / width)}, column ${i % width}`;
    const what = isColour
      ? `the colour #${value.toString(16).padStart(6, "0")}, which ${classFile} does not have`
      : `the class ${value}, which is neither a number from 0 to ${end - 1} nor ${ignored}, which is ignored`;
    throw new FileFormatError(`${place} has ${what}`, {
      where,
      remedy: "Correct the mask, or name the number to ignore with data.ignoreIndex.",
    });
  });
}

/**
 * Resizes class numbers so that they cover a size, and cuts them around the middle, as images are: each pixel has the class of the
 * stored pixel that its middle lies in.
 *
 * @example
 * console.log(coveringNearest(Int32Array.of(1, 2), { height: 1, width: 2 }, 2, 2)); // [1, 2, 1, 2] cut from [1, 1, 2, 2]: [1, 2]
 */
export function coveringNearest(
  labels: Int32Array,
  { height, width }: { readonly height: number; readonly width: number },
  rows: number,
  columns: number,
): Int32Array {
  const factor = Math.max(rows / height, columns / width);
  const [tall, wide] = [Math.max(rows, Math.round(height * factor)), Math.max(columns, Math.round(width * factor))];
  // Half of an odd margin is rounded up, as libvips' centre crop in sharp does.
  const [top, left] = [Math.floor((tall - rows + 1) / 2), Math.floor((wide - columns + 1) / 2)];
  const resized = new Int32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const y = Math.min(height - 1, Math.floor(((row + top + 0.5) * height) / tall));
    for (let column = 0; column < columns; column++) {
      const x = Math.min(width - 1, Math.floor(((column + left + 0.5) * width) / wide));
      resized[row * columns + column] = labels[y * width + x] ?? 0;
    }
  }
  return resized;
}
