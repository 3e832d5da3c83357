/** What `subbyte convert` prints. */
import type { ConvertedFile, FormatDefinition } from "../../convert/formats/definition.ts";
import { formats } from "../../convert/formats/files.ts";
import type { IntegerNetwork } from "../../convert/integer-network.ts";
import type { ProgramResult, VerificationResult } from "../../convert/prove/verify.ts";
import type { StoredSize } from "../../convert/size.ts";
import { elementCount } from "../../ir/types.ts";
import type { ConvertFlags } from "../flags.ts";
import { formatBytes } from "../view/progress-format.ts";
import { formatTable } from "../view/table.ts";

export interface WrittenFile extends Pick<ConvertedFile, "memory"> {
  readonly file: string;
  readonly bytes: number;
}

function show(headings: string[], rows: (string | number)[][]): void {
  process.stdout.write(`${formatTable(headings, rows, process.stdout.columns)}\n`);
}

export function printFiles(written: readonly WrittenFile[]): void {
  show(
    ["file", "bytes"],
    written.map(({ file, bytes }) => [file, formatBytes(bytes)]),
  );
  for (const { memory } of written) {
    if (memory === undefined) continue;
    const { constantBytes, arenaBytes } = memory;
    process.stdout.write(`C: ${formatBytes(constantBytes)} of constants, ${formatBytes(arenaBytes)} of RAM\n`);
  }
}

export function printSize(size: StoredSize, { verbose }: Pick<ConvertFlags, "verbose">): void {
  const ratio = `${(100 * size.ratio).toFixed(1)} % of float32`;
  process.stdout.write(`stored: ${formatBytes(size.packedBytes)} packed to its bits, ${ratio}\n`);
  if (verbose !== true) return;
  show(
    ["layer", "weights", "bits", "bits in the file", "bytes packed"],
    size.layers.map((layer) => [layer.name, layer.weights, layer.bits, layer.containerBits, layer.packedBytes]),
  );
}

/** What tensors without codes cost, and how they get some; nothing where there are none. */
export function printHint({ tensors }: IntegerNetwork): void {
  const wide = tensors.filter(({ form }) => form.kind === "wide");
  if (wide.length === 0) return;
  const values = wide.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  process.stdout.write(
    `hint: tensors without codes: ${wide.length}, 4 bytes a value, ${formatBytes(4 * values)} an image; with --residual-bits 8: ` +
      `${formatBytes(values)},\nand the int file is 2.4 to 3.2 times as fast (ResNet-20 and ResNet-18, docs/integer.md)\n`,
  );
}

/** The QDQ forms sum floats in the runtime's own order, so only the integer ones must agree in every code. */
export function sumsFloats({ program }: ProgramResult): boolean {
  return formats.some((format) => format.sumsFloats === true && program === `onnx ${format.name}`);
}

export function printProof(proof: VerificationResult, wanted: readonly FormatDefinition[]): void {
  show(
    ["compared with the simulation", "images", "layers", "codes", "different"],
    proof.programs.map(({ program, samples, layers, compared, mismatches }) => [
      program,
      samples,
      layers,
      compared,
      mismatches,
    ]),
  );
  if (proof.programs.some((program) => program.mismatches > 0 && sumsFloats(program))) {
    process.stdout.write(
      "qdq and qcdq leave sums to the runtime's floats: values on the border of two codes may fall to the other side, and\n" +
        "what reads them differs in turn; so do the last digits of the logits, which count here. The int file agrees in all.\n",
    );
  }
  const others = wanted.filter(({ runner }) => runner === undefined).map(({ name }) => name);
  if (others.length > 0) {
    process.stdout.write(`not compared here, because ONNX Runtime does not execute it: ${others.join(", ")}\n`);
  }
}
