/** Folders of recordings, one for each class, as data sets of log-mel features. */
import { extname, join } from "node:path";
import { ConfigError, FileFormatError } from "../../../errors.ts";
import { checkMemory } from "../../../io/file-bytes.ts";
import { readBytes } from "../../../io/read-bytes.ts";
import type { Shape } from "../../../ir/types.ts";
import type { FileInput } from "../../../onnx/read/file.ts";
import { inMemoryDataset } from "../../dataset/dataset.ts";
import type { LoadedData } from "../../dataset/loaded-data.ts";
import { isOnlyPartName, type PartName, partOfName } from "../../dataset/part-names.ts";
import { defaultMemoryBytes } from "../../dataset/streamed-dataset.ts";
import type { LabelledDataset } from "../../dataset/subset.ts";
import { listFolder, shortList } from "../../images/list-folder.ts";
import { type FeatureSettings, frameCount, logMel, melBands, usualFeatures } from "./features.ts";
import { decodeWav } from "./wav.ts";

/** How recordings become samples. */
export interface AudioOptions {
  /** Where they differ from {@link usualFeatures}. */
  readonly audio?: Partial<FeatureSettings>;
  readonly classes?: readonly string[];
  readonly memoryBytes?: number;
  /** The inputs of the network that the data is for: whether samples are [mels, frames] or [1, mels, frames]. */
  readonly inputs?: readonly FileInput[];
}

/** Whether a file has the name of a recording. */
function isRecording(name: string): boolean {
  return extname(name).toLowerCase() === ".wav";
}

/** Whether a folder, or that of a part in it, has folders with recordings. */
export async function hasRecordings(folder: string): Promise<boolean> {
  const { folders } = await listFolder(folder);
  for (const name of folders) {
    const inner = await listFolder(join(folder, name));
    if (inner.files.some(isRecording)) return true;
    const [first] = isOnlyPartName(name) ? inner.folders : [];
    if (first !== undefined && (await listFolder(join(folder, name, first))).files.some(isRecording)) return true;
  }
  return false;
}

/** The recordings of a part. */
interface Listed {
  readonly folder: string;
  readonly files: readonly string[];
  readonly labels: Int32Array;
}

/**
 * Opens folders of WAV files.
 *
 * @throws FileFormatError naming a recording of another rate or format, or a class without recordings; ConfigError for settings that are
 *   not possible.
 */
export async function openAudio(folder: string, options: AudioOptions): Promise<LoadedData> {
  const settings = { ...usualFeatures, ...options.audio };
  const bands = melBands(settings);
  const { frames } = frameCount(settings);
  const isImage = options.inputs?.[0]?.dimensions?.length === 4;
  const shape: Shape = isImage ? [1, settings.mels, frames] : [settings.mels, frames];
  const parts = await partsOf(folder);
  const classes = options.classes ?? (await listFolder(parts.train)).folders;
  const counts = { short: 0, long: 0 };
  const read = async (place: string, name: string): Promise<LabelledDataset> => {
    const listed = await list(place, classes);
    const samples = await featuresOf(listed, settings, bands, counts, options);
    const { files, labels } = listed;
    const target = { kind: "classes", classes } as const;
    const dataset = inMemoryDataset({ name, samples, sampleShape: shape, targets: labels, target });
    return { dataset: { ...dataset, sampleName: (index) => join(place, files[index] ?? "") }, labels };
  };
  const train = await read(parts.train, parts.test === undefined ? folder : `${folder} train`);
  const test = parts.test === undefined ? undefined : await read(parts.test, `${folder} test`);
  const { sampleRate, seconds, window, hop, mels, lowest, highest, floor } = settings;
  const count = train.dataset.count + (test?.dataset.count ?? 0);
  return {
    kind: "audio",
    train,
    ...(test === undefined ? {} : { test }),
    notes: [
      `${count} recordings in ${classes.length} class folders: ${shortList(classes)}`,
      `log-mel features [${shape.join(", ")}]: ${sampleRate} Hz, ${seconds} s, window ${window}, hop ${hop}, ${mels} mels from ${lowest} to ${highest} Hz, floor ${floor}`,
      ...(counts.short > 0
        ? [`${counts.short} recordings are shorter than ${seconds} s and get zeros at their end`]
        : []),
      ...(counts.long > 0 ? [`${counts.long} recordings are longer than ${seconds} s and are cut`] : []),
      ...parts.notes,
    ],
  };
}

async function partsOf(
  folder: string,
): Promise<{ readonly train: string; readonly test?: string; readonly notes: readonly string[] }> {
  const { folders } = await listFolder(folder);
  const named = (part: PartName) => folders.filter((name) => isOnlyPartName(name) && partOfName(name) === part);
  const [trains, validations, tests] = [named("train"), named("validation"), named("test")];
  const [train, second] = trains;
  const [held, other] = validations.length > 0 ? validations : tests;
  if (train === undefined || held === undefined) return { train: folder, notes: [] };
  if (second !== undefined || other !== undefined) {
    throw new ConfigError(`several folders are for one part: ${shortList(folders)}`, {
      where: folder,
      remedy: "Leave one for each: train/ and val/.",
    });
  }
  const unused = folders.filter((name) => name !== train && name !== held);
  const notes = unused.length === 0 ? [] : [`the parts are ${train}/ and ${held}/; not used: ${shortList(unused)}`];
  return { train: join(folder, train), test: join(folder, held), notes };
}

async function list(folder: string, classes: readonly string[]): Promise<Listed> {
  const { folders } = await listFolder(folder);
  const unknown = folders.find((name) => !classes.includes(name));
  if (unknown !== undefined) {
    throw new FileFormatError(`the class folder ${unknown} is not one of the classes ${shortList(classes)}`, {
      where: join(folder, unknown),
      remedy: "Rename or remove it; the classes are those of the training part, or of data.classes.",
    });
  }
  const files: string[] = [];
  const labels: number[] = [];
  for (const [label, name] of classes.entries()) {
    if (!folders.includes(name)) continue;
    const own = (await listFolder(join(folder, name))).files.filter(isRecording);
    if (own.length === 0) {
      throw new FileFormatError("the class folder has no recordings", {
        where: join(folder, name),
        remedy: "Put WAV files in it, or remove the folder: each folder is a class.",
      });
    }
    for (const file of own) {
      files.push(join(name, file));
      labels.push(label);
    }
  }
  if (files.length > 0) return { folder, files, labels: Int32Array.from(labels) };
  throw new FileFormatError("there are no recordings in this folder", {
    where: folder,
    remedy: "Expected a folder of WAV files for each class.",
  });
}

async function featuresOf(
  { folder, files }: Listed,
  settings: FeatureSettings,
  bands: readonly Float64Array[],
  counts: { short: number; long: number },
  { memoryBytes = defaultMemoryBytes }: AudioOptions,
): Promise<Float32Array> {
  const { samples: length, frames } = frameCount(settings);
  const each = settings.mels * frames;
  checkMemory(
    4 * each * files.length,
    memoryBytes,
    folder,
    `Set data.memoryBytes to ${4 * each * files.length} or more.`,
  );
  const features = new Float32Array(each * files.length);
  for (const [index, file] of files.entries()) {
    const where = join(folder, file);
    const { rate, samples } = decodeWav(await readBytes(where), where);
    if (rate !== settings.sampleRate) {
      throw new FileFormatError(
        `the recording has ${rate} samples per second, the features need ${settings.sampleRate}`,
        {
          where,
          remedy: `Convert it: ffmpeg -i ${where} -ar ${settings.sampleRate} out.wav. Or set data.audio.sampleRate=${rate} where all have it.`,
        },
      );
    }
    if (samples.length < length) counts.short++;
    if (samples.length > length) counts.long++;
    // What lies beyond the end is read as 0.
    features.set(logMel(samples.subarray(0, length), settings, bands), index * each);
  }
  return features;
}
