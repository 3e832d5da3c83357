/**
 * Opens every kind of data: from a name or a path to a training and a test part, split, limited, normalized.
 *
 * @example
 * const { train, test, notes } = await openDataset("./flowers", { size: 64, validationSplit: 0.1 });
 */
import { join } from "node:path";
import { FileFormatError } from "../../errors.ts";
import { dataHome } from "../../io/data-home.ts";
import { sameShape } from "../../ir/types.ts";
import { type ArrayOptions, openNpy, openNpz } from "../formats/arrays/dataset.ts";
import { type AudioOptions, openAudio } from "../formats/audio/dataset.ts";
import { loadCifar } from "../formats/cifar.ts";
import { type BoxOptions, openBoxes } from "../formats/coco/dataset.ts";
import { openCsv, type TableOptions } from "../formats/csv/dataset.ts";
import { loadFashionMnist } from "../formats/fashion-mnist.ts";
import { loadIdxFolder } from "../formats/idx/folder.ts";
import { type MaskOptions, openMasks } from "../formats/masks/dataset.ts";
import { openText, type TextOptions } from "../formats/text/dataset.ts";
import { type ImageOptions, openImages } from "../images/dataset.ts";
import { chooseNormalization, measuredSamples, type NormalizationChoice } from "../normalization/measure.ts";
import type { MaskingOptions } from "../tasks/masked-tokens.ts";
import { withTask } from "../tasks/with-task.ts";
import { type Dataset, type DatasetSplits, firstSamples, type SkippedSample } from "./dataset.ts";
import { type DatasetKind, type LoadedData, namedDatasets, type Task } from "./loaded-data.ts";
import { type Recognized, recognize } from "./recognize.ts";
import { emptyClassNotes, rangeNotes } from "./remarks.ts";
import { type LabelledDataset, randomSubset, splitForValidation } from "./subset.ts";

/** How to open data; everything has a default. */
export interface OpenOptions
  extends ImageOptions,
    ArrayOptions,
    TableOptions,
    TextOptions,
    MaskOptions,
    BoxOptions,
    AudioOptions,
    MaskingOptions {
  /** Kind of the data; detected when not given. */
  readonly kind?: DatasetKind;
  readonly task?: Task;
  /** Default: the usual values of a named data set, else measured from the training samples. */
  readonly normalization?: NormalizationChoice;
  /** Share held out for validation when there is one part only; default 0.2. 0 validates on the training samples. */
  readonly validationSplit?: number;
  /**
   * Seed of the split, of the limits and of the measurement; default 0. It differs from the training's seed so that runs
   * of several seeds can be compared.
   */
  readonly splitSeed?: number;
  /**
   * Number of training samples to use, chosen at random by `splitSeed`, in their original order. Of data stored in random
   * order, such as Fashion-MNIST, the first samples are used.
   */
  readonly trainLimit?: number;
  /** Number of test samples to use, chosen as for `trainLimit`. */
  readonly testLimit?: number;
}

/** Data ready for training, with notes about it. */
export interface OpenedData extends DatasetSplits {
  readonly kind: DatasetKind;
  /** The folder or file; undefined for what comes with subbyte. */
  readonly path: string | undefined;
  /** Notes on the data and on decisions about it, one sentence each. */
  readonly notes: readonly string[];
}

/**
 * Opens a data set by its name or path.
 *
 * @throws FileFormatError, InputOutputError or ConfigError naming the file, what is wrong with it and what was expected;
 *   UnsupportedError for images without the package sharp.
 *
 * @example
 * const opened = await openDataset("fashion-mnist-part", { trainLimit: 64, testLimit: 32 });
 * console.log(opened.train.count, opened.test.count); // 64 32
 */
export async function openDataset(pathOrName: string, options: OpenOptions = {}): Promise<OpenedData> {
  const name = namedDatasets.find((known) => known === pathOrName);
  const path = name === undefined ? pathOrName : name === "fashion-mnist" ? join(dataHome(), name) : undefined;
  const loaded =
    name === undefined ? await load(await recognize(pathOrName, options.kind), options) : await fashion(path);
  const notes = [...loaded.notes, ...(options.task === "none" ? [] : emptyClassNotes(loaded.train))];
  const parts = limit(split(loaded, options, notes), loaded.inRandomOrder === true, options);
  const seed = options.splitSeed ?? 0;
  const choice = options.normalization ?? "measure";
  const known = options.normalization === undefined ? loaded.normalization : undefined;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const normalization = known ?? (await chooseNormalization(choice, parts.train, { seed, ...signal }));
  if (typeof choice === "object" || choice === "imagenet") {
    notes.push(...(await rangeNotes(parts.train, normalization, options.signal)));
  }
  const isMeasured = known === undefined && choice === "measure";
  if (isMeasured && parts.train.prefetch !== undefined && parts.train.count > measuredSamples) {
    notes.push(`normalization measured from ${measuredSamples} of ${parts.train.count} training samples`);
  }
  const { target } = parts.train;
  if (target.kind === "classes" && target.classes.length === 1 && options.task !== "none") {
    notes.push(
      `there is only one class, "${target.classes[0]}": its labels carry no information; --task distillation needs none`,
    );
  }
  const finished = await withTask(
    { train: { ...parts.train, normalization }, test: { ...parts.test, normalization } },
    { ...loaded.masking, ...options },
  );
  const { train, test } = finished;
  notes.push(...finished.notes);
  const skipped = skippedSamples({ train, test });
  const [first] = skipped;
  if (first !== undefined)
    notes.push(`${skipped.length} could not be read and are skipped, the first: ${first.name}: ${first.reason}`);
  return { kind: loaded.kind, path, train, test, notes };
}

/** Returns the samples skipped so far in both parts, each once. */
export function skippedSamples({ train, test }: DatasetSplits): readonly SkippedSample[] {
  const all = [...(train.skipped?.() ?? []), ...(test.skipped?.() ?? [])];
  return [...new Map(all.map((sample) => [sample.name, sample])).values()];
}

async function fashion(folder: string | undefined): Promise<LoadedData> {
  const { train, test } = await loadFashionMnist(folder === undefined ? {} : { folder });
  const { normalization } = train;
  const parts = { train: { dataset: train }, test: { dataset: test } };
  return { kind: "fashion-mnist", ...parts, normalization, inRandomOrder: true, notes: [] };
}

function load({ kind, folder, files }: Recognized, options: OpenOptions): Promise<LoadedData> {
  switch (kind) {
    case "fashion-mnist":
      return fashion(folder);
    case "idx":
      return loadIdxFolder(folder, files, options.classes, options.memoryBytes);
    case "cifar10":
    case "cifar100":
      return loadCifar(kind, folder, options.memoryBytes);
    case "images":
      return openImages(folder, options);
    case "audio":
      return openAudio(folder, options);
    case "coco":
      return openBoxes(folder, options);
    case "masks":
      return openMasks(folder, options);
    case "npz":
      return openNpz(folder, files, options);
    case "npy":
      return openNpy(folder, files, options);
    case "csv":
      return openCsv(folder, files, options);
    case "text":
      return openText(folder, files, options);
  }
}

interface LabelledSplits {
  readonly train: LabelledDataset;
  readonly test: LabelledDataset;
}

function split(loaded: LoadedData, options: OpenOptions, notes: string[]): LabelledSplits {
  const { train, test } = loaded;
  if (test !== undefined) {
    checkSamples(train.dataset, test.dataset);
    return { train, test };
  }
  const fraction = options.validationSplit ?? 0.2;
  if (fraction === 0) {
    notes.push("there is one part only: training and validation use the same samples");
    return { train, test: train };
  }
  const parts = splitForValidation(train, fraction, options.splitSeed ?? 0);
  notes.push(
    `there is one part only: ${parts.test.dataset.count} of ${train.dataset.count} samples are held out for validation`,
  );
  return parts;
}

/** @throws FileFormatError when the two parts have samples of different shapes or types. */
function checkSamples(train: Dataset, test: Dataset): void {
  if (sameShape(train.sampleShape, test.sampleShape) && train.sampleType === test.sampleType) return;
  const show = ({ sampleType, sampleShape }: Dataset) => `${sampleType} [${sampleShape.join(", ")}]`;
  throw new FileFormatError(`the test samples are ${show(test)}, the training samples ${show(train)}`, {
    where: `data set "${test.name}"`,
    remedy: "Make both parts in the same way.",
  });
}

function limit(parts: LabelledSplits, inRandomOrder: boolean, options: OpenOptions): DatasetSplits {
  const limited = (part: LabelledDataset, count: number | undefined): Dataset => {
    if (count === undefined) return part.dataset;
    if (inRandomOrder) return firstSamples(part.dataset, count);
    return randomSubset(part, count, options.splitSeed ?? 0).dataset;
  };
  return { train: limited(parts.train, options.trainLimit), test: limited(parts.test, options.testLimit) };
}
