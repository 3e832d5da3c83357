/** The data that a configuration names, as the model of the user's own takes it. */
import { basename } from "node:path";
import { openConfiguredData } from "../config/data-folder.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import type { OpenedData } from "../data/dataset/open-dataset.ts";
import { ConfigError } from "../errors.ts";
import { readInputs } from "../importer/node-files.ts";
import type { Shape } from "../ir/types.ts";
import type { FileInput } from "../onnx/read/file.ts";
import { canOnlyBeLast, sampleSizes, takesChannelsLast } from "./image-layout.ts";

/** Images of more pixels a side are not made. */
const largestSide = 4096;

type StatedShape = Pick<TrainingConfig["data"], "size" | "channels" | "layout">;

/**
 * Opens the data of a configuration. Images get the size and the channels that the model's file states, or the
 * teacher's, and arrays are taken as they are by a model that takes no images, where the configuration says nothing of it.
 *
 * @throws as openDataset does, and InputOutputError or FileFormatError for a model that cannot be read.
 */
export async function openDataFor({ model, data, train, from }: TrainingConfig): Promise<OpenedData> {
  const own = "file" in model ? model.file : undefined;
  const teacher = train.distillation?.teacher;
  const file = own ?? (teacher?.endsWith(".onnx") === true ? teacher : undefined);
  if (file === undefined) return openConfiguredData(data);
  const network = readInputs(file);
  const { inputs } = network;
  const stated = statedShape(inputs);
  const opened = await openConfiguredData({ ...stated, ...data }, network);
  const notes = [...opened.notes];
  const isPlain = opened.train.sampleType !== "int32" && opened.train.inputs === undefined;
  if (!isPlain && own !== undefined) {
    refuseAugmentation(data, "whole numbers and samples of several inputs are neither cropped nor mirrored");
  }
  if (opened.train.target.kind === "dense" || opened.train.target.kind === "boxes") {
    refuseAugmentation(data, "samples whose targets lie at positions, and boxes, are neither cropped nor mirrored");
  }
  const { size } = stated;
  if (opened.kind === "images" && Array.isArray(size) && data.size === undefined) {
    notes.push(`images are resized and cropped to the ${size.join("x")} that ${basename(file)} takes`);
  }
  if (takesChannelsLast(inputs, opened.train.sampleShape)) {
    notes.push(`${basename(file)} takes channels last: samples are transposed from [C,H,W] to [H,W,C] in the graph`);
  }
  if (own !== undefined && from === undefined && opened.test.isHeldOut === true) {
    notes.push(
      "the model may have been trained on these test samples, which makes its accuracy too good: give the data a train and " +
        "a test folder; test-samples.txt in the run's folder lists them",
    );
  }
  // Weights of a run were trained with its normalization already.
  const isMeasured = isPlain && data.normalization === undefined && opened.kind !== "fashion-mnist";
  if (own !== undefined && from === undefined && isMeasured) {
    notes.push(
      "inputs are normalized by mean and std of the training samples; if the model was trained with other values, " +
        `give those: --set data.normalization=${normalizationChoices(opened.train.sampleShape)}`,
    );
  }
  return { ...opened, notes };
}

/** @throws ConfigError for a crop or a flip of samples that have to stay as they are. */
function refuseAugmentation({ crop, flip }: TrainingConfig["data"], message: string): void {
  if (crop === 0 && !flip) return;
  throw new ConfigError(message, {
    where: crop === 0 ? "data.flip" : "data.crop",
    remedy: crop === 0 ? "Set it to false." : "Set it to 0.",
  });
}

/** What may be given for a normalization of other samples than the own ones: the presets are those of images. */
export function normalizationChoices(sampleShape: Shape): string {
  return `${sampleShape.length === 3 ? "imagenet, " : ""}none or {mean: [...], std: [...]}`;
}

/** The sizes of samples according to the only input of a model's file; open sizes are absent. */
function statedShape(inputs: readonly FileInput[]): StatedShape {
  const sizes = sampleSizes(inputs);
  // Sequences: an array of them has no axes to be moved.
  if (sizes?.length === 2) return { layout: "asIs" };
  if (sizes?.length !== 3) return {};
  const [first, second, third] = sizes;
  const isLast = canOnlyBeLast(sizes);
  const [channels, height, width] = isLast ? [third, first, second] : [first, second, third];
  return {
    ...(channels === 1 || channels === 3 ? { channels } : {}),
    ...(isSide(height) && isSide(width) ? { size: [height, width] } : {}),
  };
}

function isSide(size: number | string | undefined): size is number {
  return typeof size === "number" && size >= 1 && size <= largestSide;
}
