/** Images with boxes as data sets: annotations in COCO's format. Images are stretched to the sample's size, and their boxes with them. */
import { access } from "node:fs/promises";
import { isAbsolute, join, normalize } from "node:path";
import { defined } from "../../../base/defined.ts";
import { ConfigError, FileFormatError } from "../../../errors.ts";
import { elementCount, type Shape } from "../../../ir/types.ts";
import type { LoadedData, Task } from "../../dataset/loaded-data.ts";
import { streamedDataset } from "../../dataset/streamed-dataset.ts";
import { type ImageOptions, imageShapes, type Survey, surveyImages } from "../../images/dataset.ts";
import { ImageDecoder } from "../../images/decoder.ts";
import { decodeInThread } from "../../images/decoding-thread.ts";
import { shortList } from "../../images/list-folder.ts";
import { noNormalization } from "../../normalization/normalization.ts";
import { boxedDataset, type LabelledBox } from "../../tasks/boxes.ts";
import { type Annotations, readAnnotations } from "./annotations.ts";
import { type AnnotatedPart, findAnnotations } from "./layout.ts";

/** How images and annotations become samples and targets. */
export interface BoxOptions extends ImageOptions {
  readonly task?: Task;
  /** Pixels of the sample between the cells of each level, rising; default {@link usualStrides}. */
  readonly strides?: readonly number[];
}

/** The strides of most detectors without anchors. */
export const usualStrides: readonly number[] = [8, 16, 32];
const mostAsked = 4096;

/** One part with the places of its images. */
interface OpenedPart extends Annotations {
  readonly paths: readonly string[];
  readonly survey: Survey;
}

/**
 * Opens a folder with annotations and images.
 *
 * @throws FileFormatError naming a missing image, one of another size than stated, or an annotation and its line.
 */
export async function openBoxes(folder: string, options: BoxOptions): Promise<LoadedData> {
  if (options.resize !== undefined) {
    throw new ConfigError("images are stretched to their size together with their boxes", {
      where: "data.resize",
      remedy: "Leave it out; data.size is the size of the samples.",
    });
  }
  const [first, second] = await findAnnotations(folder);
  if (first === undefined) {
    throw new FileFormatError("there are no annotations here", {
      where: folder,
      remedy: "Expected annotations.json next to the images, or annotations/instances_train.json and train/.",
    });
  }
  const decoder = await ImageDecoder.create();
  const train = await openPart(first, decoder, options);
  const test =
    second === undefined ? undefined : await openPart(second, decoder, { ...options, classes: train.classes });
  const notes: string[] = [];
  const { sample } = imageShapes(train.survey, { ...options, isWhole: true }, notes);
  const strides = options.strides ?? usualStrides;
  checkStrides(strides);
  const all = [train, ...(test === undefined ? [] : [test])];
  const sum = (of: (part: OpenedPart) => number) => all.reduce((total, part) => total + of(part), 0);
  const boxes = sum(({ images }) => images.reduce((total, image) => total + image.boxes.length, 0));
  const empty = sum(({ images }) => images.filter((image) => image.boxes.length === 0).length);
  const cut = sum((part) => part.cut);
  notes.unshift(
    `${sum(({ images }) => images.length)} images with ${boxes} boxes of ${train.classes.length} classes: ${shortList(train.classes)}`,
  );
  notes.push(
    `images are stretched to ${sample.slice(1).join("x")} (height x width); cells of the strides ${strides.join(", ")}`,
  );
  if (empty > 0) notes.push(`${empty} images have no box: all of their cells are background`);
  if (cut > 0) notes.push(`${cut} boxes end up to a pixel outside of their image and are cut`);
  const built = (part: OpenedPart, name: string) => ({
    dataset: datasetOf(part, name, sample, strides, train.classes, options),
  });
  return {
    kind: "coco",
    train: built(train, `${folder} ${test === undefined ? "" : "train"}`.trim()),
    ...(test === undefined ? {} : { test: built(test, `${folder} test`) }),
    notes,
  };
}

function checkStrides(strides: readonly number[]): void {
  const isRising = strides.every((stride, i) => Number.isInteger(stride) && stride > (strides[i - 1] ?? 0));
  if (strides.length > 0 && isRising) return;
  throw new ConfigError(`the strides ${strides.join(", ")} are not possible`, {
    where: "data.strides",
    remedy: "Give rising whole numbers above 0, in the order of the model's cells: [8, 16, 32].",
  });
}

async function openPart(part: AnnotatedPart, decoder: ImageDecoder, options: BoxOptions): Promise<OpenedPart> {
  const annotations = await readAnnotations(part.file, options.classes);
  const { images } = annotations;
  if (images.length === 0) throw new FileFormatError("there are no images in the annotations", { where: part.file });
  const paths: string[] = [];
  for (const { file } of images) paths.push(await pathOf(file, part));
  const list = { folder: "", files: paths, labels: new Int32Array(paths.length), otherFiles: 0 };
  const survey = await surveyImages(list, decoder, { ...options, isWhole: true });
  for (const [index, { width, height }] of images.entries()) {
    const where = paths[index] ?? "";
    const reason = survey.skipped.get(index);
    if (reason !== undefined) throw new FileFormatError(`the image cannot be read: ${reason}`, { where });
    const size = survey.sizes.get(index);
    if (size !== undefined && (size[0] !== height || size[1] !== width)) {
      throw new FileFormatError(
        `the image has ${size[1]}x${size[0]} pixels (width x height), ${part.file} states ${width}x${height}`,
        { where, remedy: "Correct the annotations: boxes are in pixels of the image as it is seen." },
      );
    }
  }
  return { ...annotations, paths, survey };
}

async function pathOf(file: string, { folders, file: annotations }: AnnotatedPart): Promise<string> {
  if (isAbsolute(file) || normalize(file).startsWith("..")) {
    throw new FileFormatError(`the image ${file} lies outside of the folder`, {
      where: annotations,
      remedy: "Give names of files in the folder of the images.",
    });
  }
  for (const folder of folders) {
    const path = join(folder, file);
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  throw new FileFormatError(`there is no image ${file}`, {
    where: annotations,
    remedy: `Put it in ${shortList(folders)}, or remove it and its annotations.`,
  });
}

function datasetOf(
  { images, paths }: OpenedPart,
  name: string,
  sample: Shape,
  strides: readonly number[],
  classes: readonly string[],
  options: BoxOptions,
) {
  const [, height = 1, width = 1] = sample;
  const { sixteenBit = "clip", memoryBytes } = options;
  const stretched = images.map((image) =>
    image.boxes.map(({ corners, ...rest }): LabelledBox => {
      const [across, down] = [width / image.width, height / image.height];
      return { ...rest, corners: [corners[0] * across, corners[1] * down, corners[2] * across, corners[3] * down] };
    }),
  );
  const source = {
    count: paths.length,
    sampleBytes: elementCount(sample),
    name: (index: number) => paths[index] ?? "",
    load: (index: number) => decodeInThread(paths[index] ?? "", sample, sixteenBit, "fill"),
  };
  const dataset = streamedDataset({
    name,
    source,
    concurrency: mostAsked,
    sampleType: "uint8",
    storedShape: sample,
    sampleShape: sample,
    // An image that cannot be decoded is replaced by another one, whose number this then is.
    targets: Float32Array.from(paths.keys()),
    target: { kind: "values", shape: [] },
    normalization: noNormalization(sample, "uint8"),
    ...defined({ memoryBytes }),
  });
  return boxedDataset({ images: dataset, boxes: stretched, classes, strides });
}
