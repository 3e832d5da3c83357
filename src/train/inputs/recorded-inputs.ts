/** What a run is trained on, for its checkpoints: fingerprints of its data and files, and the versions that compute. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { defined } from "../../base/defined.ts";
import type { TrainingConfig } from "../../config/schema/schema.ts";
import type { DatasetSplits } from "../../data/dataset/dataset.ts";
import { ConfigError } from "../../errors.ts";
import { lastCheckpoint } from "../../runs/checkpoint-names.ts";
import { runPaths } from "../../runs/folder.ts";
import { packageVersion } from "../../runs/package-version.ts";
import { changedInputs, changedVersions, type RunInputs } from "../../runs/run-inputs.ts";
import type { Engine } from "../../runtime/engine.ts";
import { fingerprintOf } from "./fingerprint.ts";

/** Reads the data and the files of a configuration as they are now. */
export async function runInputsOf(config: TrainingConfig, data: DatasetSplits, engine?: Engine): Promise<RunInputs> {
  const { train, test } = data;
  const { target, sampleShape, sampleType, normalization, columns } = train;
  const model = "file" in config.model ? config.model.file : undefined;
  const { distillation } = config.train;
  const isTaught = distillation !== undefined || target.kind === "none";
  const teacher = isTaught ? (distillation?.teacher ?? config.from) : undefined;
  const files: Record<string, string> = {};
  for (const [key, path] of Object.entries({
    "model.file": model,
    "the teacher": teacher,
    "data.tokenizer": config.data.tokenizer,
  })) {
    const sha256 = path === undefined ? undefined : await sha256Of(weightsFile(path));
    if (sha256 !== undefined) files[key] = sha256;
  }
  const parts = { train: await fingerprintOf(train), test: test === train ? undefined : await fingerprintOf(test) };
  return {
    train: parts.train,
    test: parts.test ?? parts.train,
    sampleShape: [...sampleShape],
    sampleType,
    ...("classes" in target && target.classes.length > 0 ? { classes: [...target.classes] } : {}),
    ...(columns === undefined ? {} : { columns: [...columns] }),
    mean: [...normalization.mean],
    std: [...normalization.std],
    files,
    versions: { subbyte: packageVersion(), ...defined({ "ONNX Runtime": engine?.version }) },
  };
}

/** The file itself, or the last checkpoint of a run's folder. */
function weightsFile(path: string): string {
  const isFile = [".onnx", ".safetensors", ".json"].some((ending) => path.endsWith(ending));
  return isFile ? path : join(runPaths(path).checkpoints, lastCheckpoint);
}

/**
 * Checks that a run is resumed on what it was started with.
 *
 * @returns Notes on programs of other versions.
 * @throws ConfigError naming what changed.
 */
export function checkInputs(before: RunInputs | undefined, now: RunInputs, folder: string): string[] {
  if (before === undefined) return [];
  const changes = changedInputs(before, now);
  if (changes.length === 0) return changedVersions(before, now);
  throw new ConfigError(`the data or a file of the run changed: ${changes.join("; ")}`, {
    where: folder,
    remedy: `Bring back what there was, or train on from its weights on what there is now: subbyte train --from ${folder}.`,
  });
}

/** Returns notes on a run whose data or files are other ones than when it was trained; none for a checkpoint without a record. */
export async function notesOnInputs(
  before: RunInputs | undefined,
  config: TrainingConfig,
  data: DatasetSplits,
): Promise<string[]> {
  if (before === undefined) return [];
  const changes = changedInputs(before, await runInputsOf(config, data));
  if (changes.length === 0) return [];
  return [`the run was trained on other data or files than there are now: ${changes.join("; ")}`];
}

/** undefined for what is no file, such as a pipe that was read already. */
async function sha256Of(file: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  return pipeline(createReadStream(file), hash).then(
    () => hash.digest("hex"),
    () => undefined,
  );
}
