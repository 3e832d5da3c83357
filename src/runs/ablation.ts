/** The results of ablations as data. They are in `ablation.json` of a run's folder. */
import { z } from "zod";

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
  metric: z.enum(["accuracy", "r2", "agreement", "teacherR2"]),
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
