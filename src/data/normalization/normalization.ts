/**
 * Normalization per channel: from raw samples to inputs of mean 0 and standard deviation 1.
 *
 * Mean and std are those of torchvision's `Normalize` after `ToTensor`: of bytes divided by 255. The network's own graph
 * applies them, so that a batch crosses into the runtime as bytes, a quarter of the size.
 */
import { ConfigError } from "../../errors.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import type { SampleArray, SampleType } from "../dataset/sample-type.ts";
import { ChannelMoments, type Normalization } from "./moments.ts";

export type { Normalization } from "./moments.ts";

/** normalized = raw · multiplier[channel] + offset[channel], as a graph computes it in float32. */
export interface ChannelAffine {
  readonly multiplier: Float32Array;
  readonly offset: Float32Array;
}

/** A normalization as one multiplication and one addition per channel. */
export function toChannelAffine(normalization: Normalization): ChannelAffine {
  const { scale, mean, std } = normalization;
  return {
    multiplier: Float32Array.from(std, (deviation) => scale / deviation),
    offset: Float32Array.from(mean, (average, channel) => -average / (std[channel] ?? 1)),
  };
}

/** Mean and standard deviation of the images of ImageNet, RGB: most pretrained image networks were trained with them. */
export const imageNetStatistics = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** Whole numbers, and rows of several inputs, as they are: no channel has a mean. */
export const wholeNumbers: Normalization = { scale: 1, mean: [], std: [] };

/** Raw samples as they are: bytes become 0..1, floats and whole numbers stay. */
export function noNormalization(sampleShape: Shape, sampleType: SampleType): Normalization {
  if (sampleType === "int32") return wholeNumbers;
  const channels = sampleShape[0] ?? 1;
  const scale = sampleType === "uint8" ? 1 / 255 : 1;
  return { scale, mean: Array.from({ length: channels }, () => 0), std: Array.from({ length: channels }, () => 1) };
}

/**
 * Mean and population standard deviation of every channel (the first dimension of a sample), in float64; those of bytes
 * come from exact histograms. A channel that never varies gets std 1, so that it becomes 0 and not NaN.
 *
 * @throws ConfigError when a value is not finite or there is no sample.
 */
export function measureNormalization(samples: Uint8Array | Float32Array, sampleShape: Shape): Normalization {
  const moments = new ChannelMoments(sampleShape, samples instanceof Uint8Array ? "uint8" : "float32");
  moments.add(samples);
  return moments.normalization();
}

/**
 * Raw samples to normalized float32, for those who feed a network without a normalizing graph.
 * Computes in float32 what a graph with {@link toChannelAffine} computes.
 *
 * @throws ConfigError when `into` is shorter than `samples`.
 */
export function normalize(
  samples: SampleArray,
  sampleShape: Shape,
  normalization: Normalization,
  into: Float32Array,
): void {
  if (into.length < samples.length) {
    throw new ConfigError(`${samples.length} elements do not fit a buffer of ${into.length}`);
  }
  const { multiplier, offset } = toChannelAffine(normalization);
  const channelCount = sampleShape[0] ?? 1;
  const planeLength = elementCount(sampleShape) / channelCount;
  for (
    let start = 0, channel = 0;
    start < samples.length;
    start += planeLength, channel = (channel + 1) % channelCount
  ) {
    const factor = multiplier[channel] ?? 1;
    const shift = offset[channel] ?? 0;
    for (let i = start; i < start + planeLength; i++) into[i] = Math.fround((samples[i] ?? 0) * factor) + shift;
  }
}
