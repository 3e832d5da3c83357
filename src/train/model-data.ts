/** The data that a configuration names, as the model of the user's own takes it. */
import { basename } from "node:path";
import type { OpenedData } from "../data/open-dataset.ts";
import { statedInputs } from "../importer/node-files.ts";
import type { TrainingConfig } from "./config-schema.ts";
import { openConfiguredData } from "./data-folder.ts";

/** Pictures of more pixels a side are not made. */
const largestSide = 4096;

type StatedShape = Pick<TrainingConfig["data"], "size" | "channels" | "layout">;

/**
 * Opens the data of a configuration. Pictures get the size and the channels that the model's file states, or the
 * teacher's, and arrays are taken as they are by a model that takes no pictures, where the configuration says nothing of it.
 *
 * @throws as openDataset does, and InputOutputError or FileFormatError for a model that cannot be read.
 */
export async function openDataFor({ model, data, train }: TrainingConfig): Promise<OpenedData> {
  const own = "file" in model ? model.file : undefined;
  const teacher = train.distillation?.teacher;
  const file = own ?? (teacher?.endsWith(".onnx") === true ? teacher : undefined);
  if (file === undefined) return openConfiguredData(data);
  const stated = statedShape(file);
  const opened = await openConfiguredData({ ...stated, ...data });
  const notes = [...opened.notes];
  const { size } = stated;
  if (opened.kind === "pictures" && Array.isArray(size) && data.size === undefined) {
    notes.push(`pictures are resized and cropped to the ${size.join("x")} that ${basename(file)} takes`);
  }
  if (own !== undefined && data.normalization === undefined && opened.kind !== "fashion-mnist") {
    notes.push(
      "inputs are normalized by mean and std of the training samples; where the model was trained with others, " +
        "give those: --set data.normalization=imagenet, none or {mean: [...], std: [...]}",
    );
  }
  return { ...opened, notes };
}

/** What the only input of a model's file says of samples; open sizes are left out. */
function statedShape(file: string): StatedShape {
  const [input, ...others] = statedInputs(file);
  const [, first, second, third, ...more] = input?.dimensions ?? [];
  if (others.length > 0 || first === undefined || second === undefined || more.length > 0) return {};
  // Sequences, and pictures with their channels last: an array of them has no axes to be moved.
  if (third === undefined || (isChannels(third) && !isChannels(first))) return { layout: "asIs" };
  return {
    ...(first === 1 || first === 3 ? { channels: first } : {}),
    ...(isSide(second) && isSide(third) ? { size: [second, third] } : {}),
  };
}

type Dimension = number | string | undefined;

function isChannels(size: Dimension): boolean {
  return size === 1 || size === 3 || size === 4;
}

function isSide(size: Dimension): size is number {
  return typeof size === "number" && size >= 1 && size <= largestSide;
}
