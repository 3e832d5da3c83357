/**
 * Normalization per channel: from raw samples to inputs of mean 0 and standard deviation 1.
 *
 * Mean and std are those of torchvision's `Normalize` after `ToTensor`: of bytes divided by 255. The network's own graph
 * applies them, so that a batch crosses into the runtime as bytes, a quarter of the size.
 */
import { ConfigError } from "../errors.ts";
import { elementCount, type Shape } from "../graph/types.ts";

/** normalized = (raw · scale − mean[channel]) / std[channel] */
export interface Normalization {
  /** 1/255 for bytes, 1 for floats. */
  readonly scale: number;
  /** One per channel, in units of raw · scale. */
  readonly mean: readonly number[];
  /** One per channel, above 0, in units of raw · scale. */
  readonly std: readonly number[];
}

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

/**
 * Mean and population standard deviation of every channel (the first dimension of a sample), in float64; those of bytes
 * come from exact histograms. A channel that never varies gets std 1, so that it becomes 0 and not NaN.
 *
 * @throws ConfigError when a value is not finite or there is no sample.
 */
export function measureNormalization(samples: Uint8Array | Float32Array, sampleShape: Shape): Normalization {
  const sampleLength = elementCount(sampleShape);
  const channelCount = sampleShape[0] ?? 1;
  const planeLength = sampleLength / channelCount;
  if (samples.length === 0 || sampleLength === 0) throw new ConfigError("mean and std of no samples are not defined");
  const moments = Array.from({ length: channelCount }, (_, channel) => {
    const plane: Plane = { samples, start: channel * planeLength, planeLength, sampleLength };
    return samples instanceof Uint8Array ? momentsOfBytes(plane) : momentsOfFloats(plane);
  });
  return {
    scale: samples instanceof Uint8Array ? 1 / 255 : 1,
    mean: moments.map(({ mean }) => mean),
    std: moments.map(({ std }) => (std > 0 ? std : 1)),
  };
}

/**
 * Raw samples to normalized float32, for those who feed a network without a normalizing graph.
 * Computes in float32 what a graph with {@link toChannelAffine} computes.
 *
 * @throws ConfigError when `into` is shorter than `samples`.
 */
export function normalize(
  samples: Uint8Array | Float32Array,
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

/** One channel of all samples. */
interface Plane {
  readonly samples: Uint8Array | Float32Array;
  readonly start: number;
  readonly planeLength: number;
  readonly sampleLength: number;
}

interface Moments {
  readonly mean: number;
  readonly std: number;
}

/** In units of byte / 255. */
function momentsOfBytes(plane: Plane): Moments {
  const histogram = new Float64Array(256);
  visit(plane, (byte) => {
    histogram[byte] = (histogram[byte] ?? 0) + 1;
  });
  const count = histogram.reduce((sum, times) => sum + times, 0);
  const mean = histogram.reduce((sum, times, byte) => sum + times * byte, 0) / count;
  const variance = histogram.reduce((sum, times, byte) => sum + times * (byte - mean) ** 2, 0) / count;
  return { mean: mean / 255, std: Math.sqrt(variance) / 255 };
}

function momentsOfFloats(plane: Plane): Moments {
  const count = (plane.samples.length / plane.sampleLength) * plane.planeLength;
  let sum = 0;
  visit(plane, (value) => {
    sum += value;
  });
  const mean = sum / count;
  if (!Number.isFinite(mean)) {
    throw new ConfigError("a sample holds a value that is not finite", { remedy: "Remove NaN and infinite values." });
  }
  let squares = 0;
  visit(plane, (value) => {
    squares += (value - mean) ** 2;
  });
  return { mean, std: Math.sqrt(squares / count) };
}

function visit(plane: Plane, see: (value: number) => void): void {
  const { samples, start, planeLength, sampleLength } = plane;
  for (let first = start; first < samples.length; first += sampleLength) {
    for (let i = first; i < first + planeLength; i++) see(samples[i] ?? 0);
  }
}
