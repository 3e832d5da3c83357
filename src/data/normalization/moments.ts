/**
 * Mean and standard deviation of each channel of samples that arrive in chunks, so that data larger than memory is
 * measured as exactly as data in memory.
 *
 * Bytes are counted in histograms, which is exact. Floats are merged chunk by chunk after Chan, Golub and LeVeque
 * ("Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979), which loses no digits to large means.
 */
import { ConfigError } from "../../errors.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import type { SampleArray, SampleType } from "../dataset/sample-type.ts";

/** normalized = (raw · scale − mean[channel]) / std[channel] */
export interface Normalization {
  /** 1/255 for bytes, 1 for floats. */
  readonly scale: number;
  /** One per channel, in units of raw · scale. */
  readonly mean: readonly number[];
  /** One per channel, above 0, in units of raw · scale. */
  readonly std: readonly number[];
}

/** Maximum number of channels to count in histograms: more would take more memory than the data. */
const mostHistograms = 64;

/** Accumulates samples and computes their normalization. */
export class ChannelMoments {
  readonly #sampleLength: number;
  readonly #planeLength: number;
  /** The raw value that scaling maps to 1. */
  readonly #unit: number;
  readonly #histograms: readonly Float64Array[];
  readonly #mean: Float64Array;
  readonly #squares: Float64Array;
  /** Elements of each channel so far. */
  #count = 0;

  constructor(sampleShape: Shape, sampleType: SampleType) {
    const channels = sampleShape[0] ?? 1;
    this.#sampleLength = elementCount(sampleShape);
    this.#planeLength = this.#sampleLength / channels;
    this.#unit = sampleType === "uint8" ? 255 : 1;
    const counted = sampleType === "uint8" && channels <= mostHistograms;
    this.#histograms = counted ? Array.from({ length: channels }, () => new Float64Array(256)) : [];
    this.#mean = new Float64Array(channels);
    this.#squares = new Float64Array(channels);
  }

  /** Adds whole samples. @throws ConfigError when a value is not finite. */
  add(samples: SampleArray): void {
    const added = (samples.length / Math.max(1, this.#sampleLength)) * this.#planeLength;
    if (added === 0) return;
    for (let channel = 0; channel < this.#mean.length; channel++) {
      const histogram = this.#histograms[channel];
      if (histogram === undefined) this.#merge(samples, channel, added);
      else this.#tally(samples, channel, histogram);
    }
    this.#count += added;
  }

  /** @throws ConfigError when nothing was added. */
  normalization(): Normalization {
    if (this.#count === 0) throw new ConfigError("mean and std of no samples are not defined");
    const moments = Array.from(this.#mean, (mean, channel) => {
      const histogram = this.#histograms[channel];
      if (histogram !== undefined) return momentsOf(histogram, this.#count);
      return { mean, std: Math.sqrt((this.#squares[channel] ?? 0) / this.#count) };
    });
    return {
      scale: 1 / this.#unit,
      mean: moments.map(({ mean }) => mean / this.#unit),
      std: moments.map(({ std }) => (std > 0 ? std / this.#unit : 1)),
    };
  }

  #tally(samples: SampleArray, channel: number, histogram: Float64Array): void {
    for (let first = channel * this.#planeLength; first < samples.length; first += this.#sampleLength) {
      for (let i = first; i < first + this.#planeLength; i++) {
        const byte = samples[i] ?? 0;
        histogram[byte] = (histogram[byte] ?? 0) + 1;
      }
    }
  }

  #merge(samples: SampleArray, channel: number, added: number): void {
    const start = channel * this.#planeLength;
    let sum = 0;
    for (let first = start; first < samples.length; first += this.#sampleLength) {
      for (let i = first; i < first + this.#planeLength; i++) sum += samples[i] ?? 0;
    }
    const mean = sum / added;
    if (!Number.isFinite(mean)) {
      throw new ConfigError("a sample holds a value that is not finite", { remedy: "Remove NaN and infinite values." });
    }
    let squares = 0;
    for (let first = start; first < samples.length; first += this.#sampleLength) {
      for (let i = first; i < first + this.#planeLength; i++) squares += ((samples[i] ?? 0) - mean) ** 2;
    }
    const before = this.#mean[channel] ?? 0;
    const total = this.#count + added;
    const shift = mean - before;
    this.#mean[channel] = before + (shift * added) / total;
    this.#squares[channel] = (this.#squares[channel] ?? 0) + squares + (shift * shift * this.#count * added) / total;
  }
}

/** Returns the moments of a histogram of bytes, in units of a byte. */
function momentsOf(histogram: Float64Array, count: number): { readonly mean: number; readonly std: number } {
  const mean = histogram.reduce((sum, times, byte) => sum + times * byte, 0) / count;
  const variance = histogram.reduce((sum, times, byte) => sum + times * (byte - mean) ** 2, 0) / count;
  return { mean, std: Math.sqrt(variance) };
}
