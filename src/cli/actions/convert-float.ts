/** The float model of a run as ONNX, for the tools that the user's own model came from. */

import { isQuantized } from "../../compile/quantize.ts";
import type { ConvertedFile } from "../../convert/formats/files.ts";
import { withParameterValues } from "../../graph/network.ts";
import { exportOnnx } from "../../importer/export.ts";
import type { LoadedRun } from "../../train/load-run.ts";
import { makeNetwork } from "../../train/network.ts";
import { outputCountOfTeacher } from "../../train/teacher.ts";

/** What `--format` calls it, beside the formats of integers. */
export const floatFormat = "float";

export interface FloatModel {
  readonly file: ConvertedFile;
  /** What whoever runs the file has to know, in the form of the notes of a conversion. */
  readonly notes: readonly { readonly kind: "float model"; readonly where: string; readonly message: string }[];
}

/** The network without quantizers, with the weights that were trained: of a quantized run those before they are rounded. */
export function floatModel({ config, data, teacher, network }: LoadedRun): FloatModel {
  const float = makeNetwork(config, data, teacher && outputCountOfTeacher(teacher));
  const trained = new Map(network.parameters.map(({ name, value }) => [name, value]));
  const file = { name: "model.float.onnx", parts: [exportOnnx(withParameterValues(float, trained))] };
  const { mean, std } = data.train.normalization;
  const show = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(6))).join(", ");
  const messages = [
    ...(mean.length > 4 ? [] : [`it takes inputs as (x - mean) / std: mean ${show(mean)}, std ${show(std)}`]),
    ...(isQuantized(network) ? ["its weights are those before rounding, and nothing in it is quantized"] : []),
  ];
  return { file, notes: messages.map((message) => ({ kind: "float model", where: file.name, message })) };
}
