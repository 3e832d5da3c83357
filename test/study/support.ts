/** Records, studies and workers made up for the tests of the study. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { resolveStudyConfig } from "../../src/study/plan/config.ts";
import type { TrialRecord } from "../../src/study/plan/record.ts";
import type { StudyConfig } from "../../src/study/plan/schema.ts";

/** A folder that is gone when the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "subbyte-study-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A study that takes seconds: a small perceptron on a few images. */
export function tinyStudy(changes: object = {}): StudyConfig {
  const text = JSON.stringify({
    model: { name: "mlp", width: 8 },
    data: { trainLimit: 128, testLimit: 64, crop: 0, flip: false },
    train: { epochs: 2, batchSize: 32, optimizer: { learningRate: 0.02 } },
    float: { epochs: 2, learningRate: 0.05 },
    weightBits: [4, 2],
    activationBits: [4],
    recipes: ["lsq"],
    parallel: 2,
    threads: 1,
    ...changes,
  });
  return resolveStudyConfig({ name: "tiny", text });
}

/** A record of a finished trial, or what `changes` make of it. */
export function record(changes: Partial<TrialRecord> = {}): TrialRecord {
  const { recipe = "lsq", weightBits = 4, activationBits = 4, seed = 0 } = changes;
  return {
    id: `${recipe}_W${weightBits}A${activationBits}_seed${seed}`,
    recipe,
    weightBits,
    activationBits,
    seed,
    levels: { weights: 2 ** weightBits, activations: 2 ** activationBits },
    cost: { bitOperations: 1000 * weightBits * activationBits, bytes: 100 * weightBits },
    layers: [],
    impossible: null,
    status: "finished",
    reason: null,
    accuracy: 0.8,
    bestAccuracy: 0.8,
    loss: 0.5,
    epochs: [],
    findings: [],
    ablation: null,
    timing: { seconds: 1, imagesPerSecond: 1000, peakMemoryBytes: 1e8 },
    ...changes,
  };
}

/** A copy of a study's folder, to be spoilt. */
export function copyStudy(from: string): string {
  const to = join(temporaryFolder(), "copy");
  mkdirSync(to);
  cpSync(from, to, { recursive: true });
  return to;
}
