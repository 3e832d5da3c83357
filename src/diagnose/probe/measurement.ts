/**
 * Measurements of a run as data: one record for each probe, one line of diagnosis.jsonl. Records hold no times, so that
 * two runs of one seed write the same bytes.
 */
import { z } from "zod";
import { diagnosisFileKeys } from "../../config/former-names.ts";

/** A measured number. JSON has no NaN and no infinity: both are written as null and read as NaN. */
const real = z.union([z.number(), z.null().transform(() => Number.NaN)]);
const count = z.int().min(0);

const keysInFile = new Map<string, string>(Object.entries(diagnosisFileKeys));
const keysInCode = new Map<string, string>([...keysInFile].map(([inCode, inFile]) => [inFile, inCode]));

function withKeys(value: object, keys: ReadonlyMap<string, string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [keys.get(key) ?? key, item]));
}

/** Renames the keys of the file before a schema checks them. */
function withKeysOfCode(value: unknown): unknown {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? withKeys(value, keysInCode) : value;
}

/**
 * One trained parameter of a quantizer. Changes are ln(p/p₀) of a factor, ln 2·(p − p₀) of an exponent, steps or codes of a shift:
 * the median over the groups, the largest magnitude, and the root mean square of a step's.
 */
const learned = z.strictObject({
  name: z.string(),
  kind: z.enum(["factor", "exponent", "shift"]),
  change: real,
  largestChange: real,
  update: real,
});

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
  /** The largest value that the grid can represent over the largest value of the tensor. */
  coverage: real,
  distinctCodes: count,
  /** Entropy of the codes, in bits. */
  entropy: real,
  /** Elements that are not 0 and become 0. */
  deadShare: real,
  /** Elements more than half a step outside of the grid. */
  clippedShare: real,
  /** Elements below 0, and those of them that the grid cannot represent. */
  negativeShare: real,
  lostNegativeShare: real,
  /** Levels below the level of 0, as a share of all. */
  levelsBelowZero: real,
  /** SQNR in dB: of the present grid, and of the best uniform grid. */
  sqnr: real,
  optimalSqnr: real,
  /** The scale over the best one: the median over channels. */
  scaleRatio: real,
  /** The scale over the one that the quantizer's own rule gives for these values: the median over channels; NaN: not trained. */
  initialRatio: real.default(Number.NaN),
  /** Groups of which a trained scale or clipping limit is at the lower limit that updates keep; as a share of all. */
  floorShare: real.default(0),
  /** ln(s/s₀) of a trained scale, s₀ being what the run began with: the median over the groups, and the largest |ln(s/s₀)|. */
  scaleChange: real.default(Number.NaN),
  largestScaleChange: real.default(Number.NaN),
  /** Every trained parameter: how far it went from what the run began with, and how far a step moves it just before the probe. */
  learned: z.array(learned).default([]),
  /** Channels of an activation that hold one value alone in the whole batch, as a share of all. */
  deadChannels: real.default(0),
  /** Cosine of the gradient at the tensor with that of the float network on the same batch. */
  gradientCosine: real,
  /** Among the elements clearly outside of the grid (0.55 of a step), those to which the quantizer passes a gradient. */
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
  /** ‖γ − γ₀‖/‖γ₀‖, and the root mean square of β − β₀ over that of γ₀. */
  scaleDistance: real.default(Number.NaN),
  shiftDistance: real.default(Number.NaN),
});

/** One residual addition. */
const addition = z.strictObject({
  name: z.string(),
  /** Larger over smaller root mean square of the two operands. */
  ratio: real,
  /** Power of the smaller operand over the quantization noise of both, in dB; below 0 the noise exceeds it. */
  smallerSqnr: real,
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
  /** The same batch with quantizers and the running statistics, as in evaluation; NaN without batch normalization. */
  runningLoss: real.default(Number.NaN),
  /** The losses of the steps since the previous probe. */
  recent: z.strictObject({ steps: count, mean: real, max: real, notFinite: count }),
  sites: z.array(z.preprocess(withKeysOfCode, site)),
  weights: z.array(weight),
  norms: z.array(norm),
  additions: z.array(z.preprocess(withKeysOfCode, addition)),
});

/** The measurements of a probe at a quantizer site. */
export type SiteMeasurement = z.output<typeof site>;
/** The measurements of a probe of a weight. */
export type WeightMeasurement = z.output<typeof weight>;
/** The measurements of a probe of a batch normalization. */
export type NormMeasurement = z.output<typeof norm>;
/** The measurements of a probe of a residual addition. */
export type AdditionMeasurement = z.output<typeof addition>;
/** All measurements of one probe. */
export type ProbeRecord = z.output<typeof probeRecordSchema>;

/** Returns a record with the keys of diagnosis.jsonl. */
export function recordForFile(record: ProbeRecord): object {
  return {
    ...record,
    sites: record.sites.map((each) => withKeys(each, keysInFile)),
    additions: record.additions.map((each) => withKeys(each, keysInFile)),
  };
}

/** Returns a record as a line of JSON: numbers to five digits, so that a line stays short. */
export function encodeRecord(record: ProbeRecord): string {
  return JSON.stringify(recordForFile(record), (_key, value: unknown) =>
    typeof value === "number" && Number.isFinite(value) && !Number.isInteger(value)
      ? Number(value.toPrecision(5))
      : value,
  );
}
