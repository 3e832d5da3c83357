/** A run's model computing in float, as ONNX: the trained weights as they are, or in the bits of their quantizers. */

import { isQuantized } from "../../../compile/sites.ts";
import type { ConvertedFile } from "../../../convert/formats/definition.ts";
import { buildLowBitWeights } from "../../../convert/formats/low-bit-weights.ts";
import { UnsupportedError } from "../../../errors.ts";
import { exportOnnx } from "../../../importer/export.ts";
import { withChannelsLast } from "../../../importer/rewrite/channels-first.ts";
import { type Network, withParameterValues } from "../../../ir/network.ts";
import type { LoadedRun } from "../../../train/load-run.ts";
import { makeNetwork, modelTakesChannelsLast } from "../../../train/network.ts";
import { outputCountOfTeacher } from "../../../train/teacher/teacher.ts";

/** Their names for `--format`, next to the formats of integers. */
export const floatFormats = ["float", "weights"] as const;
/** A format whose arithmetic is float. */
export type FloatFormat = (typeof floatFormats)[number];

/** Returns whether a format's arithmetic is float. */
export function isFloatFormat(name: string): name is FloatFormat {
  return floatFormats.some((known) => known === name);
}

/** A file with float arithmetic, and its notes. */
export interface FloatModel {
  readonly file: ConvertedFile;
  /** Notes that users of the file must know. */
  readonly notes: readonly { readonly kind: "computes in float"; readonly where: string; readonly message: string }[];
}

/** @throws UnsupportedError where weights cannot be stored in their bits, or what else is quantized would be left out. */
export function floatModelOf(format: FloatFormat, path: string, run: LoadedRun): FloatModel {
  const model = format === "float" ? trainedModel(run) : lowBitModel(path, run);
  const { mean, std } = run.data.train.normalization;
  const show = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(6))).join(", ");
  const isShort = mean.length > 0 && mean.length <= 4;
  const range = isShort ? [`inputs are normalized as (x - mean) / std: mean ${show(mean)}, std ${show(std)}`] : [];
  const messages = [...range, ...model.messages];
  const file = { name: `model.${format}.onnx`, parts: [model.bytes] };
  return {
    file,
    notes: messages.map((message) => ({ kind: "computes in float", where: file.name, message })),
  };
}

interface Made {
  readonly bytes: Uint8Array;
  readonly messages: readonly string[];
}

/** The network without quantizers, with the weights that were trained: of a quantized run those before they are rounded. */
function trainedModel(run: LoadedRun): Made {
  const messages = isQuantized(run.network) ? ["it holds the weights before rounding and no quantizers"] : [];
  return { bytes: exportOnnx(inOwnLayout(run, floatNetwork(run))), messages };
}

function lowBitModel(path: string, run: LoadedRun): Made {
  const { network } = run;
  if (!isQuantized(network)) {
    throw new UnsupportedError("the run trained in float, so its weights have no bit width", {
      where: path,
      remedy: "Write the float model with --format float.",
    });
  }
  const { bytes, weights } = buildLowBitWeights(network, floatNetwork(run));
  const kinds = [...new Set(weights.map(({ bits, levels }) => `${bits} bits (${levels} levels)`))];
  const stored = `${weights.length} weights are stored in ${kinds.join(", ")}; everything is computed in float32`;
  return { bytes, messages: [stored] };
}

/** The input of a file that takes channels last stays as the user's own tools give it. */
function inOwnLayout({ config, data }: LoadedRun, network: Network): Network {
  return modelTakesChannelsLast(config, data) ? withChannelsLast(network) : network;
}

/** Returns the run's network without quantizers, with the weights that were trained. */
export function floatNetwork({ config, data, teacher, network }: LoadedRun): Network {
  const float = makeNetwork(config, data, teacher && outputCountOfTeacher(teacher));
  return withParameterValues(float, new Map(network.parameters.map(({ name, value }) => [name, value])));
}
