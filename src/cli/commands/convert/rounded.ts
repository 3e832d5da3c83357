/** A model's file with its weights rounded in groups, without any training: `convert mine.onnx --format weights`. */

import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { type GroupedWeights, smallestGroup, withGroupedWeights } from "../../../compile/passes/group-weights.ts";
import { withoutQuantizers } from "../../../compile/passes/without-quantizers.ts";
import { buildLowBitWeights } from "../../../convert/formats/low-bit-weights.ts";
import { ConfigError, UnsupportedError } from "../../../errors.ts";
import { importOnnxFile } from "../../../importer/node-files.ts";
import { makeWritableFolder } from "../../../io/atomic-file.ts";
import { printJson } from "../../output.ts";
import { writeOutputs } from "../../write-output.ts";
import type { ConvertFlags } from "./convert.ts";
import { printFiles, printNotes } from "./text.ts";

/** Bits that ONNX Runtime's operators on packed weights take. */
export const roundedBits = [2, 4, 8] as const;

type Rounding = Pick<ConvertFlags, "weightBits" | "groupSize" | "symmetric">;

/** Returns whether the argument of `convert` is a model's file, and not a run or a checkpoint. */
export function isModelFile(path: string): boolean {
  return path.endsWith(".onnx") && existsSync(path) && statSync(path).isFile();
}

/** @throws ConfigError for flags that ask for rounding where a run was trained with bits of its own. */
export function refuseRounding({ weightBits, groupSize, symmetric }: Rounding): void {
  if (weightBits === undefined && groupSize === undefined && symmetric !== true) return;
  throw new ConfigError("a run has the bits and groups that it was trained with", {
    where: "--weight-bits, --group-size, --symmetric",
    remedy: "Leave them out, or give a model's file: its weights are rounded as they are.",
  });
}

/** Writes a model's file with rounded weights. */
export async function convertFile(path: string, flags: ConvertFlags): Promise<void> {
  const { weightBits, groupSize = 32, symmetric = false } = flags;
  const formats = flags.format ?? [];
  if (formats.length !== 1 || formats[0] !== "weights") {
    throw new ConfigError("a model's file is not trained: only its weights can be rounded", {
      where: path,
      remedy: "Give --format weights --weight-bits 4, or train it first: subbyte train --model FILE --preset lsq.",
    });
  }
  const bits = roundedBits.find((known) => known === weightBits);
  if (bits === undefined) {
    throw new ConfigError(`the weights of a file are rounded to ${roundedBits.join(", ")} bits`, {
      where: "--weight-bits",
      remedy: "Give one of these.",
    });
  }
  if (groupSize < smallestGroup || !Number.isInteger(Math.log2(groupSize))) {
    throw new ConfigError(`${groupSize} is no group that ONNX Runtime reads`, {
      where: "--group-size",
      remedy: `Give a power of two from ${smallestGroup}.`,
    });
  }
  const rounded = withGroupedWeights(importOnnxFile(path), { bits, groupSize, symmetric });
  const { network } = rounded;
  if (network.sites.length === 0) {
    throw new UnsupportedError("no weight can be rounded in groups", {
      where: path,
      remedy: `Weights of Gemm, MatMul and Gather are, whose inputs are a multiple of ${smallestGroup}.`,
    });
  }
  const { bytes } = buildLowBitWeights(network, withoutQuantizers(network));
  const folder = flags.out ?? ".";
  await makeWritableFolder(folder);
  const file = join(folder, `${basename(path, ".onnx")}.weights.onnx`);
  await writeOutputs([{ file, content: [bytes] }]);
  const written = [{ file, bytes: bytes.length }];
  const notes = notesOn(rounded, groupSize, basename(file));
  if (flags.json === true) return printJson({ schemaVersion: 1, model: path, files: written, notes });
  printFiles(written);
  if (flags.quiet !== true) printNotes(notes, flags);
}

function notesOn({ network, left }: GroupedWeights, groupSize: number, where: string) {
  const smaller = network.sites.filter(({ spec }) => spec.groupSize !== groupSize).length;
  const bits = network.sites[0]?.spec.bits ?? 0;
  const messages = [
    `${network.sites.length} weights are rounded to ${bits} bits in groups of ${groupSize}, without training; everything is computed in float32`,
    ...(smaller === 0 ? [] : [`${smaller} of them have smaller groups, the largest that divide their inputs`]),
    ...(left.length === 0
      ? []
      : [`${left.length} stay in float, no group divides their inputs: ${left.slice(0, 3).join(", ")}`]),
  ];
  return messages.map((message) => ({ kind: "computes in float" as const, where, message }));
}
