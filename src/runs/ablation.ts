/** The results of ablations as data. They are in `ablation.json` of a run's folder. */
import { z } from "zod";

/**
 * What a result is measured by; of each, more is better.
 *
 * - `accuracy`: share of the samples whose class came out right, 0 to 1;
 * - `r2`: the coefficient of determination R², the share of the targets' variance that is explained: 1 is perfect, 0 is
 *   as good as their mean, and it may be negative;
 * - `agreement`: share of the samples for which the network and its teacher name the same class, 0 to 1;
 * - `teacherR2`: R² with the teacher's outputs as the targets;
 * - `tokenAccuracy`, `maskedAccuracy`, `nextTokenAccuracy`: share of the tokens, the masked ones, or the ones that follow, 0 to 1;
 * - `meanIoU`: mean over the classes of intersection over union, 0 to 1;
 * - `meanAveragePrecision`: of boxes, as COCO has it, mean over the classes and ten thresholds of the IoU, 0 to 1;
 * - `reconstruction`: R² with the network's input as the targets;
 * - `auc`: share of the pairs of an anomaly and a normal sample that the reconstruction error orders, 0 to 1.
 */
export const metricNames = [
  "accuracy",
  "r2",
  "agreement",
  "teacherR2",
  "tokenAccuracy",
  "maskedAccuracy",
  "nextTokenAccuracy",
  "meanIoU",
  "meanAveragePrecision",
  "reconstruction",
  "auc",
] as const;
/** The name of a metric. */
export type MetricName = (typeof metricNames)[number];

/** Loss and metric with some quantizers at work. JSON has no NaN: a loss that is none is written as null. */
const result = z.object({
  accuracy: z.number(),
  loss: z
    .number()
    .nullable()
    .transform((loss) => loss ?? Number.NaN),
});

const layer = z.object({
  layer: z.string(),
  /** Only this layer quantizes. */
  alone: result,
  /** Every layer but this one quantizes. */
  without: result,
});

/** The schema of ablation.json. */
export const ablationSchema = z.object({
  /** What `accuracy` measures. */
  metric: z.enum(metricNames),
  /** Test samples that were looked at. */
  samples: z.int().min(1),
  float: result,
  quantized: result,
  weightsOnly: result,
  activationsOnly: result,
  layers: z.array(layer),
});

/** The content of ablation.json. */
export const ablationFileSchema = ablationSchema.extend({
  schemaVersion: z.literal(1),
  /** Steps done when the checkpoint was written. */
  step: z.int().min(0),
});

/** An evaluation with some quantizers switched off. */
export type AblationResult = z.output<typeof result>;
/** The evaluations with only one layer's quantizers on, and with all others on. */
export type LayerAblation = z.output<typeof layer>;
/** The contents of ablation.json. */
export type Ablation = z.output<typeof ablationSchema>;
/** Ablations of a checkpoint. */
export type KeptAblation = z.output<typeof ablationFileSchema>;
