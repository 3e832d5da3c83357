/**
 * Entropy calibration: Migacz, "8-bit Inference with TensorRT", GTC 2017. Of the magnitudes' histogram (2048 bins) the
 * threshold is taken whose clipped distribution P differs least from its quantized form Q in KL divergence Σ P·ln(P/Q).
 *
 * For i bins kept: P is the first i bins with everything beyond added to the last; Q spreads each of the L groups of
 * those bins evenly over its bins that are not empty. L is the number of levels on one side of zero: the quantizer's, or
 * half of them where the codes have a sign. The range is ±threshold, or 0..threshold for a sample without negative
 * numbers. Options: `bins` (2048).
 */
import type { QuantizerSpec } from "../quantizers/definition.ts";
import { type CalibratorDefinition, fromSamples, numberOption, type Range } from "./calibrator.ts";
import { histogramOf } from "./histogram.ts";

const sampleLimit = 1 << 18;
/** Thresholds are tried this many bins apart. */
const stride = 8;

/** The divergence of the first `kept` bins from their form with `levels` groups. */
function divergence(counts: Float32Array, kept: number, levels: number): number {
  const clipped = counts.slice(0, kept);
  let beyond = 0;
  for (let i = kept; i < counts.length; i++) beyond += counts[i] ?? 0;
  const inside = clipped.reduce((sum, count) => sum + count, 0);
  clipped[kept - 1] = (clipped[kept - 1] ?? 0) + beyond;
  const total = inside + beyond;
  if (total === 0 || inside === 0) return Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let level = 0; level < levels; level++) {
    const from = Math.floor((level * kept) / levels);
    const to = Math.floor(((level + 1) * kept) / levels);
    let mass = 0;
    let filled = 0;
    for (let i = from; i < to; i++) {
      mass += counts[i] ?? 0;
      if ((clipped[i] ?? 0) > 0) filled++;
    }
    if (filled === 0) continue;
    const q = Math.max(mass / filled / inside, 1e-12);
    for (let i = from; i < to; i++) {
      const p = (clipped[i] ?? 0) / total;
      if (p > 0) sum += p * Math.log(p / q);
    }
  }
  return sum;
}

function search(spec: QuantizerSpec, levels: number, values: Float32Array, { min, max }: Range): Range {
  const largest = Math.max(-min, max);
  if (!(largest > 0)) return { min, max };
  const bins = numberOption(spec, "bins", 2048);
  const counts = histogramOf(values.map(Math.abs), bins, 0, largest);
  const oneSide = Math.max(spec.quantMin < 0 ? Math.ceil(levels / 2) : levels, 2);
  let best = bins;
  let least = Number.POSITIVE_INFINITY;
  for (let kept = Math.min(Math.max(oneSide, stride), bins); kept <= bins; kept += stride) {
    const found = divergence(counts, kept, oneSide);
    if (found >= least) continue;
    least = found;
    best = kept;
  }
  const threshold = (largest * best) / bins;
  return { min: min < 0 ? Math.max(min, -threshold) : 0, max: Math.min(max, threshold) };
}

/** Chooses the range with the smallest KL divergence between the histogram and its quantized form, as TensorRT's calibration does. */
export const entropy: CalibratorDefinition = {
  name: "entropy",
  options: { bins: { from: 1, whole: true } },
  create: (spec, definition) =>
    fromSamples(sampleLimit, (values, full) => search(spec, definition.levels(spec), values, full)),
};
