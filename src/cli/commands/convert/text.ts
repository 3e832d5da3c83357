/** The output of `subbyte convert`. */
import type { ConvertedFile, FormatDefinition } from "../../../convert/formats/definition.ts";
import { formats } from "../../../convert/formats/files.ts";
import { intFormat } from "../../../convert/formats/int/int.ts";
import type { IntegerNetwork } from "../../../convert/integer-network.ts";
import type { ProgramResult, VerificationResult } from "../../../convert/prove/verify.ts";
import type { StoredSize } from "../../../convert/size.ts";
import { elementCount } from "../../../ir/types.ts";
import { outputColumns, print } from "../../output.ts";
import { formatBytes, type SampleWord, sampleWord } from "../../view/progress-format.ts";
import { tableLines } from "../../view/table.ts";

/** A file that was written. */
export interface WrittenFile extends Pick<ConvertedFile, "memory"> {
  readonly file: string;
  readonly bytes: number;
}

function show(headings: string[], rows: (string | number)[][]): void {
  print(...tableLines(headings, rows, outputColumns()));
}

/** Prints the files that were written. */
export function printFiles(written: readonly WrittenFile[]): void {
  show(
    ["file", "bytes"],
    written.map(({ file, bytes }) => [file, formatBytes(bytes)]),
  );
  for (const { memory } of written) {
    if (memory === undefined) continue;
    const { constantBytes, arenaBytes } = memory;
    print(`C: ${formatBytes(constantBytes)} of constants, ${formatBytes(arenaBytes)} of RAM`);
  }
}

/** Prints the size of the integer model. */
export function printSize(size: StoredSize, { verbose }: { readonly verbose?: true }): void {
  const ratio = `${(100 * size.ratio).toFixed(1)} % of float32`;
  print(`stored: ${formatBytes(size.packedBytes)} packed to its bits, ${ratio}`);
  if (verbose !== true) return;
  show(
    ["layer", "weights", "bits", "bits in the file", "bytes packed"],
    size.layers.map((layer) => [layer.name, layer.weights, layer.bits, layer.containerBits, layer.packedBytes]),
  );
}

/** Prints what tensors without codes cost and which flag quantizes them; nothing where there are none. */
export function printHint({ tensors, operations, input }: IntegerNetwork, wanted: readonly FormatDefinition[]): void {
  // Products and constants are exact as they are.
  const rounded = new Set(operations.flatMap(({ op, output }) => (op === "Requantize" ? [output] : [])));
  const wide = tensors.filter(({ id, form }) => form.kind === "wide" && rounded.has(id));
  if (wide.length === 0) return;
  const values = wide.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const isInt = wanted.includes(intFormat);
  const each = sampleWord(input.sampleShape) === "images" ? "an image" : "a sample";
  print(
    `hint: ${wide.length} ${wide.length === 1 ? "tensor is" : "tensors are"} not quantized: 4 bytes a value, ${formatBytes(4 * values)} ${each}. ` +
      `Without --no-residual-bits: ${formatBytes(values)}${isInt ? "," : "."}`,
    ...(isInt ? ["and the int file is 2.4 to 3.2 times as fast (ResNet-20 and ResNet-18, docs/integer.md)."] : []),
  );
}

/** Whether a program sums floats in the order of ONNX Runtime, so that its codes may differ at borders. */
export function sumsFloats({ program }: ProgramResult): boolean {
  return formats.some((format) => format.sumsFloats === true && program === `onnx ${format.name}`);
}

/** Prints the comparison with the simulation. */
export function printProof(proof: VerificationResult, wanted: readonly FormatDefinition[], samples: SampleWord): void {
  show(
    ["compared with the simulation", samples, "layers", "codes", "different"],
    proof.programs.map(({ program, samples, layers, compared, mismatches }) => [
      program,
      samples,
      layers,
      compared,
      mismatches,
    ]),
  );
  if (proof.programs.some((program) => program.mismatches > 0 && sumsFloats(program))) {
    print(
      "qdq and qcdq leave sums to the floats of ONNX Runtime: values on the border of two codes may round the other way,",
      "and so may what is computed from them, and the last digits of the logits. The int file agrees in every code.",
    );
  }
  const others = wanted.filter(({ runner }) => runner === undefined).map(({ name }) => name);
  if (others.length > 0) print(`not verified, because ONNX Runtime cannot run them: ${others.join(", ")}`);
}

/** A note, and the place that it is about. */
interface Note {
  readonly kind: string;
  readonly where: string;
  readonly message: string;
}

/** Prints notes; without `verbose` those of one kind about different places share a line. */
export function printNotes(notes: readonly Note[], { verbose }: { readonly verbose?: true }): void {
  const kinds = new Map<string, Note[]>();
  for (const each of notes) kinds.set(each.kind, [...(kinds.get(each.kind) ?? []), each]);
  for (const group of kinds.values()) {
    const isFolded = verbose !== true && new Set(group.map(({ where }) => where)).size === group.length;
    const texts = isFolded ? [foldedText(group)] : group.map(({ where, message }) => `${where}: ${message}`);
    print(...texts.map((text) => `note: ${text}`));
  }
}

function foldedText(group: readonly Note[]): string {
  const [first] = group;
  if (first === undefined) return "";
  if (group.length === 1) return `${first.where}: ${first.message}`;
  const isSame = group.every(({ message }) => message === first.message);
  return isSame
    ? `${first.message}, at ${group.length} places; -v lists them`
    : `${first.where}: ${first.message}; and ${group.length - 1} more like it, listed by -v`;
}
