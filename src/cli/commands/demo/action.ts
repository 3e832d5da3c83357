/** What `subbyte demo` does. */

import { resolve } from "node:path";
import { defined } from "../../../base/defined.ts";
import { resolveTrainingConfig } from "../../../config/config.ts";
import { modelTitle, type TrainingConfig } from "../../../config/schema/schema.ts";
import { advisedPresets } from "../../../qconfig/presets.ts";
import { lastCheckpoint } from "../../../runs/checkpoint-names.ts";
import { type RunResult, startRun } from "../../../train/run.ts";
import { loadData } from "../../../train/setup.ts";
import { interruptible } from "../../interrupt.ts";
import { outputColumns, print, printJson } from "../../output.ts";
import { Progress } from "../../view/progress.ts";
import { formatDuration } from "../../view/progress-format.ts";
import { showRun } from "../../view/show-run.ts";
import { tableLines } from "../../view/table.ts";
import type { DemoFlags } from "./demo.ts";

interface Stage {
  readonly name: string;
  /** Its name in the table. */
  readonly title: string;
  readonly config: (float: string | undefined) => TrainingConfig;
  /** Time of a step in relation to a float step's, for the estimate before it is measured. */
  readonly cost: number;
}

/** Trains in float, then twice with few bits, and prints the table that compares them. */
export async function demoAction(flags: DemoFlags): Promise<void> {
  const stages = stagesOf(flags);
  const silent = flags.json === true || flags.quiet === true;
  const configs = stages.map((stage) => stage.config(undefined));
  const [first] = configs;
  if (first === undefined) return;
  const data = await loadData(first);
  const progress = new Progress({
    silent,
    stages: stages.map(({ name, cost }, index) => ({
      name,
      cost,
      totalSteps: stepsOf(configs[index] ?? first, data.train.count),
    })),
  });
  progress.message(
    `${modelTitle(first.model)} on ${data.train.name}: ${data.train.count} training and ${data.test.count} test images, seed ${flags.seed}`,
  );
  if (flags.verbose === true) progress.message(...data.notes);
  const results: RunResult[] = [];
  try {
    await interruptible(async (signal) => {
      for (const [index, stage] of stages.entries()) {
        const float = results[0]?.paths.checkpoints;
        const config = stage.config(float === undefined ? undefined : resolve(float, lastCheckpoint));
        const run = { config, parent: flags.out, name: `demo-${stage.name}`, data };
        results.push(await startRun(run, { signal, ...showRun(progress, index, config.train.epochs) }));
      }
    });
  } finally {
    progress.close();
  }
  printResults(flags, stages, results);
}

function stepsOf(config: TrainingConfig, samples: number): number {
  return config.train.epochs * Math.floor(samples / config.train.batchSize);
}

function stagesOf(flags: DemoFlags): Stage[] {
  const { weightBits, activationBits } = flags;
  const bits = `W${weightBits}A${activationBits}`;
  const common = {
    model: { name: "resnet8" },
    data: {
      crop: 0,
      flip: false,
      ...defined({ trainLimit: flags.trainLimit, testLimit: flags.testLimit }),
    },
    seed: flags.seed,
    threads: flags.threads,
  };
  const config = (epochs: number, learningRate: number, rest: object): TrainingConfig =>
    resolveTrainingConfig({
      name: "demo",
      text: JSON.stringify({ ...common, train: { epochs, batchSize: 64, optimizer: { learningRate } }, ...rest }),
    });
  const quantized = (preset: string) => (float: string | undefined) =>
    config(flags.qatEpochs, 0.01, {
      quantization: { preset, weightBits, activationBits },
      ...defined({ from: float }),
    });
  return [
    { name: "float", title: "float", cost: 1, config: () => config(flags.floatEpochs, 0.1, {}) },
    {
      name: "thread",
      title: `${bits}, the forum thread's: EMA min-max, reduce_range`,
      cost: 1.6,
      config: quantized("thread"),
    },
    {
      name: advisedPresets.learnedRanges,
      title: `${bits}, learned step sizes (LSQ)`,
      cost: 1.2,
      config: quantized(advisedPresets.learnedRanges),
    },
  ];
}

function printResults(flags: DemoFlags, stages: readonly Stage[], results: readonly RunResult[]): void {
  const rows = results.map((result, index) => ({
    configuration: stages[index]?.title ?? "",
    folder: result.paths.folder,
    bits: index === 0 ? null : { weights: flags.weightBits, activations: flags.activationBits },
    levels: result.summary.levels,
    accuracy: result.accuracy,
    seconds: result.seconds,
    imagesPerSecond: result.imagesPerSecond,
  }));
  if (flags.json === true) {
    printJson({ schemaVersion: 1, seed: flags.seed, rows });
    return;
  }
  const float = rows[0]?.accuracy ?? 0;
  const table = tableLines(
    ["configuration", "weight levels", "activation levels", "test accuracy", "against float", "time", "images/s"].map(
      (title, i) => (i === 0 ? title : { title, align: "right" as const }),
    ),
    rows.map((row, index) => [
      row.configuration,
      row.levels.weights ?? "float",
      row.levels.activations ?? "float",
      `${(100 * row.accuracy).toFixed(2)} %`,
      index === 0 ? "" : `${row.accuracy >= float ? "+" : ""}${(100 * (row.accuracy - float)).toFixed(2)}`,
      formatDuration(row.seconds),
      row.imagesPerSecond.toFixed(0),
    ]),
    outputColumns(),
  );
  print(...table);
}
