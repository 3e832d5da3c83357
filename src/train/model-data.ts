/** The data that a configuration names, as the model of the user's own takes it. */
import { basename } from "node:path";
import type { OpenedData } from "../data/open-dataset.ts";
import { statedInputs } from "../importer/node-files.ts";
import type { TrainingConfig } from "./config-schema.ts";
import { openConfiguredData } from "./data-folder.ts";

/** Pictures of more pixels a side are not made. */
const largestSide = 4096;

type PictureShape = Pick<TrainingConfig["data"], "size" | "channels">;

/**
 * Opens the data of a configuration. Pictures get the size and the channels that the model's file states, or the
 * teacher's, where the configuration says nothing of them.
 *
 * @throws as openDataset does, and InputOutputError or FileFormatError for a model that cannot be read.
 */
export async function openDataFor({ model, data, train }: TrainingConfig): Promise<OpenedData> {
  const own = "file" in model ? model.file : undefined;
  const teacher = train.distillation?.teacher;
  const file = own ?? (teacher?.endsWith(".onnx") === true ? teacher : undefined);
  if (file === undefined) return openConfiguredData(data);
  const stated = statedPictures(file);
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

/** What the only input of a model's file says of pictures; open sizes are left out. */
function statedPictures(file: string): PictureShape {
  const [input, ...others] = statedInputs(file);
  const dimensions = input?.dimensions ?? [];
  if (others.length > 0 || dimensions.length !== 4) return {};
  const [, channels, height, width] = dimensions;
  const isSide = (size: unknown): size is number => typeof size === "number" && size >= 1 && size <= largestSide;
  return {
    ...(channels === 1 || channels === 3 ? { channels } : {}),
    ...(isSide(height) && isSide(width) ? { size: [height, width] } : {}),
  };
}
