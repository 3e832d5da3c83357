/** Cuts a layer whose sums float32 cannot hold exactly into parts by input channels, each of which it can. */
import { UnsupportedError } from "../errors.ts";
import type { IntegerLayer, IntegerWeight, TensorForm } from "./integer-network.ts";
import { floatBound, largest, layerBounds } from "./ranges.ts";

/** Input channels whose products are summed exactly in float32. */
export interface LayerPart {
  /** The input channels that this part sums over. */
  readonly first: number;
  readonly count: number;
  readonly weight: IntegerWeight;
}

/** The layer as one part, or as parts of halved channels until each keeps below 2²⁴. Groups are left whole. */
export function layerParts(layer: IntegerLayer, input: TensorForm): readonly LayerPart[] {
  const [, channels = 0] = layer.weight.shape;
  const groups = layer.op === "IntegerConv" ? layer.group : 1;
  const whole: LayerPart = { first: 0, count: channels * groups, weight: layer.weight };
  if (groups === 1 || reach(layer.weight, input) < floatBound) return split(whole, input);
  throw new UnsupportedError("sums of a grouped convolution could exceed 2^24, the largest exact integer of float32", {
    where: `layer "${layer.name}"`,
    remedy: "Give its weights or its input fewer bits.",
  });
}

function split(part: LayerPart, input: TensorForm): readonly LayerPart[] {
  if (reach(part.weight, input) < floatBound || part.count < 2) return [part];
  const half = Math.floor(part.count / 2);
  const ends = [
    { first: 0, count: half },
    { first: half, count: part.count - half },
  ];
  return ends.flatMap(({ first, count }) =>
    split({ first: part.first + first, count, weight: channelRange(part.weight, first, count) }, input),
  );
}

/** The largest absolute value of any partial sum. */
function reach(weight: IntegerWeight, input: TensorForm): number {
  const bounds = layerBounds(weight, input);
  return Math.max(largest(bounds.high), largest(bounds.low.map((low) => -low)));
}

/** The weights of some input channels. */
function channelRange(weight: IntegerWeight, first: number, count: number): IntegerWeight {
  const [outChannels = 0, channels = 0, ...kernel] = weight.shape;
  const window = kernel.reduce((product, size) => product * size, 1);
  const codes = new Int32Array(outChannels * count * window);
  for (let k = 0; k < outChannels; k++) {
    const start = (k * channels + first) * window;
    codes.set(weight.codes.subarray(start, start + count * window), k * count * window);
  }
  return { ...weight, shape: [outChannels, count, ...kernel], codes };
}
