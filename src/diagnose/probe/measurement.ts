/**
 * What is measured in a run, as data: one record for each probe, one line of diagnosis.jsonl. Records hold no times, so
 * that two runs of one seed write the same bytes.
 */
import { z } from "zod";

/** A measured number. JSON has no NaN and no infinity: both are written as null and read as NaN. */
const real = z.union([z.number(), z.null().transform(() => Number.NaN)]);
const count = z.int().min(0);

/** One quantized tensor. Shares are of the elements looked at. */
const site = z.strictObject({
  name: z.string(),
  kind: z.enum(["weight", "activation"]),
  /** Smallest and largest element of the whole tensor, and percentiles of |x|. */
  min: real,
  max: real,
  magnitude: z.strictObject({ p50: real, p975: real, p999: real, max: real }),
  kurtosis: real,
  /** The largest channel's magnitude over that of the median channel, and which channel it is. */
  channelDisparity: real,
  largestChannel: count,
  /** Mean scale over the channels, where the quantizer has one, and the code of 0 there. */
  scale: real,
  zeroPoint: real,
  /** The largest value that the grid can represent over the largest there is. */
  coverage: real,
  distinctCodes: count,
  /** Entropy of the codes, in bits. */
  entropy: real,
  /** Elements that are not 0 and become 0. */
  deadShare: real,
  /** Elements more than half a step outside of the grid. */
  clippedShare: real,
  /** Elements below 0, and among them those that the grid cannot follow. */
  negativeShare: real,
  lostNegativeShare: real,
  /** Levels below the level of 0, as a share of all. */
  levelsBelowZero: real,
  /** Signal to quantization noise in dB: now, and on the uniform grid that loses least. */
  noiseRatio: real,
  optimalNoiseRatio: real,
  /** The scale over the one that loses least: the median over channels. */
  scaleRatio: real,
  /** Cosine of the gradient at the tensor with that of the float network on the same batch. */
  gradientCosine: real,
  /** Among the elements clearly outside of the grid (0.55 of a step), those that the quantizer hands a gradient to. */
  outsideCount: count,
  outsideGradientShare: real,
  /** Trained scales: |∂L/∂s|/s over ‖∂L/∂w‖/‖w‖ of the layers (the balance of LSQ), and s·∂L/∂s summed. */
  scaleBalance: real,
  scaleGradient: real,
  /** 32 bins from min to max, and how often each code occurs, from the lowest (64 levels at most). */
  histogram: z.array(count),
  codes: z.array(count),
});

/** One weight, quantized or not. */
const weight = z.strictObject({
  name: z.string(),
  norm: real,
  gradientNorm: real,
  gradientCosine: real,
  /** ‖w − w₀‖/‖w₀‖, w₀ being the weight that the run began with. */
  distance: real,
  /** Over the steps just before the probe: ‖Δw‖/‖w‖ and mean |Δw|/s a step; NaN at the run's start. */
  update: real,
  updateInSteps: real,
  /** Share of the codes that change at a step, and of those that turned back at least once in the window. */
  flipRate: real,
  oscillatingShare: real,
});

/** One batch normalization: KL divergence of the batch's statistics from the running ones, and their signed shift. */
const norm = z.strictObject({
  name: z.string(),
  divergence: real,
  /** Median over channels of |μ_batch − μ_running|/σ_running, and of |ln(σ²_batch/σ²_running)|. */
  meanShift: real,
  varianceShift: real,
});

/** One residual addition. */
const addition = z.strictObject({
  name: z.string(),
  /** Larger over smaller root mean square of the two operands. */
  ratio: real,
  /** Noise of quantizing the operands over the power of the smaller operand, in dB (below 0: it is drowned). */
  smallerNoiseRatio: real,
});

/** The schema of a line of diagnosis.jsonl. */
export const probeRecordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** Steps done before the probe. */
  step: count,
  epoch: z.number(),
  observing: z.boolean(),
  batchNorm: z.enum(["batch", "running"]),
  learningRate: real,
  loss: real,
  accuracy: real,
  /** The same batch through the same weights without quantizers, batch normalization by the batch. */
  floatLoss: real,
  floatAccuracy: real,
  /** The losses of the steps since the probe before. */
  recent: z.strictObject({ steps: count, mean: real, max: real, notFinite: count }),
  sites: z.array(site),
  weights: z.array(weight),
  norms: z.array(norm),
  additions: z.array(addition),
});

/** What a probe measures at a quantizer site. */
export type SiteMeasurement = z.output<typeof site>;
/** What a probe measures of a weight. */
export type WeightMeasurement = z.output<typeof weight>;
/** What a probe measures of a batch normalization. */
export type NormMeasurement = z.output<typeof norm>;
/** What a probe measures of a residual addition. */
export type AdditionMeasurement = z.output<typeof addition>;
/** All measurements of one probe. */
export type ProbeRecord = z.output<typeof probeRecordSchema>;

/** A record as a line of JSON: numbers to five digits, so that a line stays short. */
export function encodeRecord(record: ProbeRecord): string {
  return JSON.stringify(record, (_key, value: unknown) =>
    typeof value === "number" && Number.isFinite(value) && !Number.isInteger(value)
      ? Number(value.toPrecision(5))
      : value,
  );
}
