/** A training so small that it takes a second, and what is needed to compare two of them to the last bit. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { resolveTrainingConfig } from "../../../src/config/config.ts";
import type { TrainingConfig } from "../../../src/config/schema/schema.ts";
import { decodeSafetensors } from "../../../src/runs/safetensors.ts";

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "subbyte-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** 8 steps an epoch of a narrow ResNet on 256 images, augmented. */
export function tinyConfig(overrides: object = {}): TrainingConfig {
  const base = {
    model: { name: "resnet8", width: 4 },
    data: { trainLimit: 256, testLimit: 100, crop: 2, flip: true },
    train: { epochs: 3, batchSize: 32, optimizer: { learningRate: 0.05 } },
    threads: 1,
    ...overrides,
  };
  return resolveTrainingConfig({ name: "tiny", text: JSON.stringify(base) });
}

/** 4 steps an epoch of a perceptron at W4A4 on 64 images: a run whose files are all that a test looks at. */
export function smallestConfig(train: object = { epochs: 1 }): TrainingConfig {
  return tinyConfig({
    model: { name: "mlp", width: 8 },
    data: { trainLimit: 64, testLimit: 32 },
    train: { batchSize: 16, optimizer: { learningRate: 0.05 }, ...train },
    quantization: { preset: "lsq", weightBits: 4, activationBits: 4 },
  });
}

/** Every tensor of a checkpoint, as bytes in hexadecimal. */
export async function tensorBytes(file: string): Promise<Record<string, string>> {
  const { tensors } = decodeSafetensors(await readFile(file), file);
  return Object.fromEntries(
    [...tensors].map(([name, { data }]) => {
      if (!("buffer" in data)) throw new Error(`${name} holds text`);
      return [name, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")] as const;
    }),
  );
}
