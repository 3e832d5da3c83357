/** What `subbyte convert` does. */

import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { isQuantized, type QuantizedNetwork } from "../../compile/quantize.ts";
import { convert } from "../../convert/convert.ts";
import { type ConvertedFile, type Format, filesOf, formatNamed, runnerOf } from "../../convert/formats/files.ts";
import type { IntegerNetwork } from "../../convert/integer-network.ts";
import { floatElements, storedSize } from "../../convert/size.ts";
import { type ConvertedRunner, showMismatch, type VerificationResult, verify } from "../../convert/verify.ts";
import { makeWritableFolder, writeFileAtomic } from "../../data/atomic-file.ts";
import type { Dataset } from "../../data/dataset.ts";
import { RuntimeError, UnsupportedError } from "../../errors.ts";
import { nodeEngine } from "../../runtime/node.ts";
import { evenIndices, withStoredQuantizers } from "../../train/calibrate.ts";
import { inputOf } from "../../train/evaluate.ts";
import { type LoadedRun, loadRun } from "../../train/load-run.ts";
import { runPaths } from "../../train/run-directory.ts";
import type { ConvertFlags } from "../flags.ts";
import { formatBytes } from "../progress-format.ts";
import { testData } from "../run-data.ts";
import { formatTable } from "../table.ts";
import { floatFormat, floatModel } from "./convert-float.ts";

/** Training images that the ranges of added quantizers are taken from. */
const calibrationImages = 128;
/** Images in a batch of a verification. */
const verifyBatch = 64;

/** The formats that a verification runs. */
const executed: readonly Format[] = ["int", "qdq", "qcdq"];

interface WrittenFile extends Pick<ConvertedFile, "memory"> {
  readonly file: string;
  readonly bytes: number;
}

/** Converts a run's network, writes the files, and with --verify proves that they are the simulation. */
export async function convertRun(path: string, flags: ConvertFlags): Promise<void> {
  const asked = [...new Set(flags.format ?? ["int"])];
  const wanted = asked.filter((name) => name !== floatFormat).map(formatNamed);
  const run = await loadRun(path, flags.checkpoint);
  if (asked.includes(floatFormat)) await writeFloatModel(path, run, flags);
  if (wanted.length === 0) return;
  const { network: trained } = run;
  if (!isQuantized(trained)) {
    throw new UnsupportedError("the run trained in float: there are no integers to convert to", {
      where: path,
      remedy:
        "Train with a preset first, for example: subbyte train --preset lsq --from RUN. For the float model: --format float.",
    });
  }
  await requireFinished(path, run);
  const source = await withResidualBits(trained, run.data.train, flags);
  const network = withAddedNotes(convert(source, { input: inputOf(run.data.test) }), trained, source);
  const folder = flags.out ?? join(run.folder, "convert");
  await makeWritableFolder(folder);
  const written: WrittenFile[] = [];
  const options = { batchSize: flags.batch, arithmetic: flags.arithmetic, packed: flags.pack };
  for (const format of wanted) {
    for (const { name, parts, memory } of filesOf(format, source, network, options)) {
      const file = join(folder, name);
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      await writeFileAtomic(file, parts);
      written.push({ file, bytes, ...(memory === undefined ? {} : { memory }) });
    }
  }
  const size = storedSize(network, floatElements(source));
  const proof = flags.verify === true ? await prove(network, wanted, await testData(run, flags), flags) : undefined;
  if (proof !== undefined) {
    await writeFileAtomic(
      join(folder, "verify.json"),
      `${JSON.stringify({ schemaVersion: 1, ...proof }, undefined, 2)}\n`,
    );
  }
  if (flags.json === true) {
    const document = { schemaVersion: 1, run: path, step: run.step, files: written, size, notes: network.notes };
    const verification = proof === undefined ? {} : { verification: proof };
    process.stdout.write(`${JSON.stringify({ ...document, ...verification }, undefined, 2)}\n`);
  } else {
    print(network, written, size, flags);
    if (proof !== undefined) printProof(proof, wanted);
  }
  if (proof !== undefined) requireAgreement(proof);
}

async function writeFloatModel(path: string, run: LoadedRun, flags: ConvertFlags): Promise<void> {
  await requireFinished(path, run);
  const { file, notes } = floatModel(run);
  const folder = flags.out ?? join(run.folder, "convert");
  await makeWritableFolder(folder);
  const place = join(folder, file.name);
  await writeFileAtomic(place, file.parts);
  if (flags.json === true && flags.format?.length === 1) {
    const files = [{ file: place, bytes: file.parts.reduce((sum, part) => sum + part.length, 0) }];
    process.stdout.write(
      `${JSON.stringify({ schemaVersion: 1, run: path, step: run.step, files, notes }, undefined, 2)}\n`,
    );
  }
  if (flags.json === true) return;
  process.stdout.write(`${place}\n${notes.map((note) => `note: ${note}\n`).join("")}`);
}

/** The run's network, with the quantizers that --residual-bits adds. */
async function withResidualBits(
  trained: QuantizedNetwork,
  train: Dataset,
  { residualBits, threads }: ConvertFlags,
): Promise<QuantizedNetwork> {
  if (residualBits === undefined) return trained;
  const engine = nodeEngine(threads === 0 ? {} : { threads });
  return withStoredQuantizers(trained, residualBits, train, evenIndices(train.count, calibrationImages), engine);
}

/** What was added after training is no part of the run's own simulation, and has to be said. */
function withAddedNotes(network: IntegerNetwork, trained: QuantizedNetwork, source: QuantizedNetwork): IntegerNetwork {
  const added = source.sites.slice(trained.sites.length);
  const notes = added.map(({ layer, spec }) => ({
    kind: "added quantizer" as const,
    where: layer,
    message: `a quantizer of ${spec.bits} bits was added after training: the simulation that is compared has it too`,
  }));
  return { ...network, notes: [...notes, ...network.notes] };
}

/** Refuses the directory of a training that still runs or was stopped; a checkpoint file is taken as it is. */
async function requireFinished(path: string, run: LoadedRun): Promise<void> {
  const isFolder = (await stat(path)).isDirectory();
  if (!isFolder || existsSync(runPaths(path).summary)) return;
  throw new UnsupportedError(`the run is not finished: it has done ${run.step} steps`, {
    where: path,
    remedy: `Finish it with subbyte train --resume ${path}, or name the checkpoint file to convert it as it is.`,
  });
}

/** Every code of every layer: the simulation, each format that ONNX Runtime executes, and the interpreter for some images. */
async function prove(
  network: IntegerNetwork,
  wanted: readonly Format[],
  data: Dataset,
  flags: ConvertFlags,
): Promise<VerificationResult> {
  const engine = nodeEngine(flags.threads === 0 ? {} : { threads: flags.threads });
  const batchSize = Math.min(verifyBatch, data.count);
  const options = { batchSize, arithmetic: flags.arithmetic, packed: flags.pack };
  const checked: readonly Format[] = wanted.includes("int") ? wanted : ["int", ...wanted];
  const made = await Promise.all(checked.map((format) => runnerOf(format, network, options, engine)));
  const runners = made.filter((runner): runner is ConvertedRunner => runner !== undefined);
  try {
    return await verify(network, data, engine, { batchSize, interpretedSamples: flags.interpret, runners });
  } finally {
    await Promise.all(runners.map((runner) => runner.release()));
  }
}

/** The QDQ forms sum floats in the runtime's own order, so only the integer ones must agree in every code. */
function sumsFloats({ program }: VerificationResult["programs"][number]): boolean {
  return program.includes("q");
}

function requireAgreement(proof: VerificationResult): void {
  const wrong = proof.programs.find((program) => program.mismatches > 0 && !sumsFloats(program));
  if (wrong?.first === undefined) return;
  throw new RuntimeError(`${wrong.mismatches} of ${wrong.compared} codes differ`, {
    where: showMismatch(wrong.first),
    remedy: "This must not happen: please report it with verify.json. Do not deploy these files.",
  });
}

function show(headings: string[], rows: (string | number)[][]): void {
  process.stdout.write(`${formatTable(headings, rows, process.stdout.columns)}\n`);
}

function print(
  network: IntegerNetwork,
  written: readonly WrittenFile[],
  size: ReturnType<typeof storedSize>,
  { verbose, residualBits }: Pick<ConvertFlags, "verbose" | "residualBits">,
): void {
  show(
    ["file", "bytes"],
    written.map(({ file, bytes }) => [file, formatBytes(bytes)]),
  );
  for (const { memory } of written) {
    if (memory === undefined) continue;
    const { constantBytes, arenaBytes } = memory;
    process.stdout.write(`C: ${formatBytes(constantBytes)} of constants, ${formatBytes(arenaBytes)} of RAM\n`);
  }
  const ratio = `${(100 * size.ratio).toFixed(1)} % of float32`;
  process.stdout.write(`stored: ${formatBytes(size.packedBytes)} packed to its bits, ${ratio}\n`);
  if (verbose === true) {
    show(
      ["layer", "weights", "bits", "bits in the file", "bytes packed"],
      size.layers.map((layer) => [layer.name, layer.weights, layer.bits, layer.containerBits, layer.packedBytes]),
    );
  }
  for (const { where, message } of network.notes) process.stdout.write(`note: ${where}: ${message}\n`);
  if (residualBits === undefined && network.notes.some(({ kind }) => kind === "wide codes")) {
    process.stdout.write("hint: with --residual-bits 8 these take a byte each, and the int file runs faster\n");
  }
}

function printProof(proof: VerificationResult, wanted: readonly Format[]): void {
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
  const others = wanted.filter((format) => !executed.includes(format));
  if (others.length > 0) {
    process.stdout.write(`not compared here, because ONNX Runtime does not execute it: ${others.join(", ")}\n`);
  }
}
