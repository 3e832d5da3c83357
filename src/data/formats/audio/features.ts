/** Log-mel features: what keyword spotters read instead of samples. */
import { ConfigError } from "../../../errors.ts";
import { powerSpectrumOf } from "./fourier.ts";

/** How a recording becomes features. */
export interface FeatureSettings {
  /** Samples per second of every recording. */
  readonly sampleRate: number;
  /** Seconds of a recording: shorter ones get zeros at their end, longer ones are cut. */
  readonly seconds: number;
  /** Samples of a frame, and between the starts of two frames. */
  readonly window: number;
  readonly hop: number;
  readonly mels: number;
  /** Hertz where the lowest band begins and the highest ends. */
  readonly lowest: number;
  readonly highest: number;
  /** The smallest energy of a band, before the logarithm. */
  readonly floor: number;
}

/** Frames of 40 ms every 20 ms, as of "Hello Edge: Keyword Spotting on Microcontrollers" (arXiv 1711.07128): [40, 49] of a second. */
export const usualFeatures: FeatureSettings = {
  sampleRate: 16_000,
  seconds: 1,
  window: 640,
  hop: 320,
  mels: 40,
  lowest: 20,
  highest: 8000,
  floor: 1e-6,
};

/** Returns the samples of a recording, and the frames in them. */
export function frameCount({ sampleRate, seconds, window, hop }: FeatureSettings): {
  readonly samples: number;
  readonly frames: number;
} {
  const samples = Math.round(sampleRate * seconds);
  return { samples, frames: Math.floor((samples - window) / hop) + 1 };
}

/**
 * Returns the weights of each band over the frequencies 0 … ⌊window/2⌋ · rate/window: triangles between equal steps of
 * mel(f) = 2595 log₁₀(1 + f/700), of height 1 (HTK's, which torchaudio has by default).
 *
 * @throws ConfigError for settings without frames or frequencies, and for a band that holds no frequency.
 */
export function melBands(settings: FeatureSettings): readonly Float64Array[] {
  const { sampleRate, window, mels, lowest, highest, seconds } = settings;
  if (frameCount(settings).frames < 1 || lowest >= highest || highest > sampleRate / 2) {
    throw new ConfigError(
      `features of ${window} samples in ${seconds} s at ${sampleRate} Hz, from ${lowest} to ${highest} Hz, are not possible`,
      {
        where: "data.audio",
        remedy: "A window is no longer than the recording, and the highest frequency half the rate at most.",
      },
    );
  }
  const mel = (frequency: number) => 2595 * Math.log10(1 + frequency / 700);
  const [first, last] = [mel(lowest), mel(highest)];
  const points = Array.from({ length: mels + 2 }, (_, i) => {
    return 700 * (10 ** ((first + ((last - first) * i) / (mels + 1)) / 2595) - 1);
  });
  return Array.from({ length: mels }, (_, band) => {
    const [left = 0, middle = 0, right = 0] = points.slice(band, band + 3);
    const weights = Float64Array.from({ length: Math.floor(window / 2) + 1 }, (_, k) => {
      const frequency = (k * sampleRate) / window;
      return Math.max(0, Math.min((frequency - left) / (middle - left), (right - frequency) / (right - middle)));
    });
    if (weights.some((weight) => weight > 0)) return weights;
    throw new ConfigError(
      `the mel band ${band} from ${left.toFixed(1)} to ${right.toFixed(1)} Hz holds no frequency of the window`,
      {
        where: "data.audio",
        remedy: "Choose fewer mels, a longer window, or a higher lowest frequency.",
      },
    );
  });
}

/**
 * Returns ln(max(floor, energy)) of each band and frame, [mels, frames]: the energies of a frame are the squares of its Fourier transform after
 * a Hann window ½ − ½ cos(2πt/window), weighted by the band.
 *
 * @param bands As {@link melBands} returns them.
 */
export function logMel(samples: Float64Array, settings: FeatureSettings, bands: readonly Float64Array[]): Float32Array {
  const { window, hop, floor } = settings;
  const { frames } = frameCount(settings);
  const hann = Float64Array.from({ length: window }, (_, t) => 0.5 - 0.5 * Math.cos((2 * Math.PI * t) / window));
  const features = new Float32Array(bands.length * frames);
  const spectrum = powerSpectrumOf(window);
  // Most weights of a band are 0.
  const ends = bands.map((weights) => ({
    first: weights.findIndex((weight) => weight > 0),
    last: weights.findLastIndex((weight) => weight > 0),
  }));
  for (let frame = 0; frame < frames; frame++) {
    const power = spectrum(hann.map((weight, t) => weight * (samples[frame * hop + t] ?? 0)));
    bands.forEach((weights, band) => {
      const { first = 0, last = -1 } = ends[band] ?? {};
      let energy = 0;
      for (let k = first; k <= last; k++) energy += (weights[k] ?? 0) * (power[k] ?? 0);
      features[band * frames + frame] = Math.log(Math.max(floor, energy));
    });
  }
  return features;
}
