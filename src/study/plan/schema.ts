/**
 * The schema of a study's configuration.
 *
 * `model`, `data` and `train` are those of a training configuration, whose schema checks them. Here they are kept as
 * written, so that defaults that depend on other keys (milestones on the epochs) are filled in for each trial.
 */
import { z } from "zod";
import { bitRange, presetChoices, targetNames } from "../../config/schema/schema.ts";
import { defaultPreset, presetNames } from "../../qconfig/presets.ts";
import { deviceChoices } from "../../runtime/engine.ts";

/** The format written into every study folder; another number marks a folder of another version. */
export const studyFormat = 1;

/** Parts with a default as a whole: a file's part replaces all of it, a flag changes only its key. */
export const studyDefaults = {
  model: { name: "resnet8" },
  data: { crop: 0, flip: false },
  train: { epochs: 2, batchSize: 64, optimizer: { learningRate: 0.01 } },
  float: { epochs: 4, learningRate: 0.1 },
};

const count = z.int().min(1);
const bits = z.int().min(bitRange.minimum).max(bitRange.maximum);
const mapping = z.record(z.string(), z.unknown());

function distinct<Item>(values: readonly Item[]): boolean {
  return new Set(values).size === values.length;
}

const bitsList = z.array(bits).min(1).refine(distinct, { error: "expected each bit-width once" });

const seedValue = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);

/** A recipe: a preset, or a preset with changes; what else it holds is the training configuration's `quantization`. */
const recipe = z.preprocess(
  (value) => (typeof value === "string" ? { name: value, preset: value } : value),
  z.looseObject({
    name: z.string().regex(/^[A-Za-z0-9][\w.-]*$/, "expected a name of letters, digits, dots and dashes"),
    preset: z.string().default(defaultPreset),
    /** Where they differ from the study's. */
    epochs: count.exactOptional(),
    learningRate: z.number().positive().exactOptional(),
  }),
);

const floatStage = z
  .strictObject({
    epochs: count.exactOptional(),
    learningRate: z.number().positive().exactOptional(),
    /** An existing checkpoint or run folder, instead of training one. */
    from: z.string().min(1).exactOptional(),
  })
  .refine((value) => value.from === undefined || (value.epochs === undefined && value.learningRate === undefined), {
    error: "an existing float network is not trained: expected from alone",
    path: ["from"],
  });

const earlyStopping = z.strictObject({
  /**
   * `none`: every trial runs to its end. `median`: a trial whose best accuracy so far is below the median of the
   * earlier trials' at the same epoch is stopped. `asha`: at each rung only the best 1/reduction continue.
   */
  rule: z.enum(["none", "median", "asha"]).default("none"),
  /** Epochs that every trial gets. */
  graceEpochs: count.default(1),
  /** `median`: earlier trials that must have reached the epoch. */
  minimumTrials: count.default(3),
  /** `median`: how far below the median a trial still continues, as a fraction. */
  slack: z.number().min(0).max(1).default(0),
  /** `asha`: the reduction factor, also between the rungs' epochs. */
  reduction: z.int().min(2).default(3),
});

const budget = z.strictObject({
  /** Largest sum of bit operations for one sample. */
  bitOperations: z.number().positive().exactOptional(),
  /** Largest size of the integer model. */
  bytes: z.number().positive().exactOptional(),
});

const fix = z.strictObject({
  /** The cell to fix; default: the failing one with the most bits. */
  at: z.strictObject({ weightBits: bits, activationBits: bits }).exactOptional(),
  /** How far below float the accuracy of a failing trial is, as a fraction. */
  below: z.number().min(0).max(1).default(0.02),
  /** Epochs of each trial of the fix search; default: those of the recipe. */
  epochs: count.exactOptional(),
  /** Smallest gain for which a remedy is kept. */
  margin: z.number().min(0).max(1).default(0.005),
  /** Maximum number of remedies to try. */
  remedies: count.default(6),
  /** Whether to train the whole grid again with the remedies that suffice. */
  map: z.boolean().default(true),
});

/** The schema of a whole study. */
export const studySchema = z.strictObject({
  format: z.literal(studyFormat).default(studyFormat),
  model: mapping.default(studyDefaults.model),
  data: mapping.default(studyDefaults.data),
  train: mapping.default(studyDefaults.train),
  target: z.enum(targetNames).default("auto"),
  /** JavaScript modules whose default export is a plugin; relative paths resolve against the folder of the file. */
  plugins: z.array(z.string().min(1)).exactOptional(),
  /** null: every trial starts from random weights. */
  float: floatStage.nullable().default(studyDefaults.float),
  weightBits: bitsList.default([8, 4, 2]),
  activationBits: bitsList.default([8, 6, 5, 4, 3]),
  recipes: z
    .array(recipe)
    .min(1)
    .refine((list) => distinct(list.map(({ name }) => name)), { error: "expected each recipe's name once" })
    .refine(
      (list) => list.every(({ preset }) => presetChoices().some((known) => known === preset && known !== "float")),
      {
        error: () => `expected presets out of ${presetNames().join(", ")}; the float network is the stage \`float\``,
      },
    )
    .prefault(["thread", defaultPreset]),
  seeds: z.array(seedValue).min(1).refine(distinct, { error: "expected each seed once" }).default([0]),
  earlyStopping: earlyStopping.prefault({}),
  /** How far below float an accuracy still counts as kept. */
  tolerance: z.number().min(0).max(1).default(0.01),
  budget: budget.prefault({}),
  /** Whether trials are measured while they train, for the findings. */
  diagnose: z.boolean().default(true),
  /** Whether a trial stops, and counts as failed, where a finding is certain before its end. */
  stopOnFault: z.boolean().default(false),
  /** The fix search for each recipe with failing trials: tries the remedies of the findings, then maps the grid again. */
  fix: z.preprocess((value) => (value === true ? {} : value === false ? null : value), fix.nullable()).default(null),
  /** Trials side by side; 0: one for each core. Memory may allow fewer. */
  parallel: z.int().min(0).max(1024).default(0),
  /** Device that executes the trials. */
  device: z.enum(deviceChoices).default("cpu"),
  /** Threads of each trial; 0: the cores shared among the trials. Results may depend on it, so it is kept. */
  threads: z.int().min(0).max(1024).default(0),
  /** Restarts of a trial that a signal ended (out of memory, for example) before it counts as failed. */
  retries: z.int().min(0).max(100).default(2),
});

/** A study's configuration with every default filled in. */
export type StudyConfig = z.output<typeof studySchema>;
/** A preset with a study's changes to it. */
export type Recipe = StudyConfig["recipes"][number];
/** The rule of early stopping and its constants. */
export type EarlyStopping = StudyConfig["earlyStopping"];
/** The limits of a study's budget. */
export type Budget = StudyConfig["budget"];
