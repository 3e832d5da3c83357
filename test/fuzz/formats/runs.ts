/** Files that runs and studies leave: tensors, checkpoints, logs and the state of a study. */

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { RandomStream } from "../../../src/base/random.ts";
import { configToYaml, resolveTrainingConfig } from "../../../src/config/config.ts";
import { int64Tensor, makeTensor } from "../../../src/ir/tensor.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/runs/checkpoint.ts";
import { runPaths } from "../../../src/runs/folder.ts";
import { readEpochs, readRunRecord } from "../../../src/runs/record.ts";
import { decodeSafetensors, encodeSafetensors } from "../../../src/runs/safetensors.ts";
import { ramp } from "../../support/onnx/model.ts";
import { damagedBytes, damagedText, type FuzzFormat, oddNumbers, oddTexts, oneOf, putFiles } from "../format.ts";

const tensors = new Map([
  ["weight", ramp(3, 4)],
  ["codes", makeTensor("int8", [3], Int8Array.of(-8, 0, 7))],
  ["counts", int64Tensor([1, 2 ** 40])],
  ["empty", ramp(0, 4)],
]);

/** A safetensors file with another header of the right length, or other bytes. */
function damagedTensors(bytes: Uint8Array, stream: RandomStream): Uint8Array {
  if (stream.integerBelow(3) === 0) return damagedBytes(bytes, stream);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const text = Buffer.from(bytes.subarray(8, 8 + length)).toString("utf8");
  const extra = ['"F64"', '"BOOL"', "[0,8]", "[-1]", "[1e300]", '{"a":1}', "null", "true"];
  const header = Buffer.from(damagedText(text, stream, extra));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([size, header, bytes.subarray(8 + length)]);
}

const epochLine = (epoch: number) =>
  JSON.stringify({ step: epoch * 4, epoch, trainLoss: 1 / epoch, trainAccuracy: 0.5, testLoss: 1, testAccuracy: 0.4 });
const log = [1, 2, 3].flatMap((epoch) => [`{"step":${epoch * 4 - 1},"loss":${2 / epoch}}`, epochLine(epoch)]);
const summary = { accuracy: 0.4, bestAccuracy: 0.5, loss: 1.5, seconds: 3, imagesPerSecond: 100 };

function damagedLog(stream: RandomStream): string {
  const extra = ["null", "[]", '{"step":-1}', '{"step":1e300}', "\u0000", ...oddNumbers.map(String), ...oddTexts];
  return damagedText(`${log.join("\n")}\n`, stream, extra);
}

const checkpointConfig = configToYaml(resolveTrainingConfig({ name: "run", text: "model: { name: mlp }" }));

/** Files of runs. */
export const runFormats: readonly FuzzFormat[] = [
  {
    name: "safetensors",
    write: (stream, folder) => {
      const bytes = Buffer.concat(encodeSafetensors({ tensors, metadata: { note: "two levels" } }));
      putFiles(folder, { "weights.safetensors": damagedTensors(bytes, stream) });
    },
    read: (folder) => {
      const bytes = readFileSync(join(folder, "weights.safetensors"));
      encodeSafetensors(decodeSafetensors(bytes, "weights.safetensors"));
    },
  },
  {
    name: "checkpoint",
    write: async (stream, folder) => {
      const file = join(folder, "last.safetensors");
      const position = { step: 12, epochLoss: 3, epochCorrect: 40, bestAccuracy: 0.5 };
      await writeCheckpoint(file, { state: tensors, position, config: checkpointConfig });
      putFiles(folder, { "last.safetensors": damagedTensors(readFileSync(file), stream) });
    },
    read: async (folder) => {
      const { config } = await readCheckpoint(join(folder, "last.safetensors"));
      resolveTrainingConfig({ name: "last.safetensors", text: config });
    },
  },
  {
    name: "metrics log",
    write: (stream, folder) => {
      const texts = { "summary.json": JSON.stringify(summary), "findings.json": '{"schemaVersion":1,"findings":[]}' };
      const damaged = oneOf(stream, ["metrics.jsonl", "metrics.jsonl", "summary.json", "findings.json"] as const);
      const all = { ...texts, "metrics.jsonl": `${log.join("\n")}\n` };
      const text = damaged === "metrics.jsonl" ? damagedLog(stream) : damagedText(all[damaged], stream);
      mkdirSync(join(folder, "checkpoints"));
      putFiles(folder, { ...all, [damaged]: text });
    },
    read: async (folder) => {
      const paths = runPaths(folder);
      await readEpochs(paths.metrics);
      await readRunRecord(paths);
    },
  },
];
