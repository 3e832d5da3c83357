/** What `subbyte convert` does. */

import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { isQuantized, type QuantizedNetwork } from "../../../compile/sites.ts";
import { convert } from "../../../convert/convert.ts";
import type { ConvertedFile, FormatDefinition } from "../../../convert/formats/definition.ts";
import { formatNamed } from "../../../convert/formats/files.ts";
import { intFormat } from "../../../convert/formats/int/int.ts";
import type { ConvertOptions } from "../../../convert/input.ts";
import type { IntegerNetwork } from "../../../convert/integer-network.ts";
import { withAllObstacles } from "../../../convert/obstacles.ts";
import { type ConvertedRunner, showMismatch, type VerificationResult, verify } from "../../../convert/prove/verify.ts";
import { floatElements, storedSize } from "../../../convert/size.ts";
import type { Dataset } from "../../../data/dataset/dataset.ts";
import { RuntimeError, UnsupportedError } from "../../../errors.ts";
import { makeWritableFolder } from "../../../io/atomic-file.ts";
import { runPaths } from "../../../runs/folder.ts";
import { nodeEngine } from "../../../runtime/node/node.ts";
import { showBatchOf } from "../../../train/fit/network-fit.ts";
import { type LoadedRun, loadRun } from "../../../train/load-run.ts";
import { inputOf } from "../../../train/loop/evaluate.ts";
import { modelTakesChannelsLast } from "../../../train/network.ts";
import { print, printJson, printNotesOn } from "../../output.ts";
import { testData } from "../../run-data.ts";
import { sampleWord } from "../../view/progress-format.ts";
import { writeOutputs } from "../../write-output.ts";
import { deploymentLines, measureDeployment } from "./accuracy.ts";
import type { ConvertFlags } from "./convert.ts";
import { floatModelOf, isFloatFormat } from "./float.ts";
import { withResidualBits } from "./residual-bits.ts";
import { convertFile, isModelFile, refuseRounding } from "./rounded.ts";
import { printFiles, printHint, printNotes, printProof, printSize, sumsFloats, type WrittenFile } from "./text.ts";

/** Images in a batch of a verification. */
const verifyBatch = 64;

/** Converts a run's network, writes the files, and with --verify proves that they are the simulation. */
export async function convertAction(path: string, flags: ConvertFlags): Promise<void> {
  if (isModelFile(path)) return convertFile(path, flags);
  refuseRounding(flags);
  const asked = [...new Set(flags.format ?? ["int"])];
  const wanted = asked.filter((name) => !isFloatFormat(name)).map(formatNamed);
  const run = await loadRun(path, flags.checkpoint);
  await requireFinished(path, run);
  const converted = wanted.length === 0 ? undefined : await integersOf(path, run, flags);
  const floats = asked.filter(isFloatFormat).map((name) => floatModelOf(name, path, run));
  const folder = flags.out ?? join(run.folder, "convert");
  await makeWritableFolder(folder);
  const files = floats.map(({ file }) => file);
  const options = { batchSize: flags.batch, arithmetic: flags.arithmetic, packed: flags.pack };
  if (converted !== undefined) {
    for (const format of wanted) files.push(...format.files(converted.network, options, converted.source));
  }
  await writeOutputs(files.map(({ name, parts }) => ({ file: join(folder, name), content: parts })));
  const written = files.map((file) => describeFile(folder, file));
  const size = converted && storedSize(converted.network, floatElements(converted.source));
  const measured =
    flags.verify === true || flags.measure ? await testData(run, defined({ data: flags.data })) : undefined;
  const ofData = measured?.notes ?? run.notes;
  printNotesOn(ofData, flags);
  const notes = [...floats.flatMap((float) => float.notes), ...(converted?.network.notes ?? [])];
  const proof =
    converted !== undefined && flags.verify === true
      ? await prove(converted.network, wanted, (await testData(run, flags)).data, flags)
      : undefined;
  if (proof !== undefined) {
    const text = `${JSON.stringify({ schemaVersion: 1, ...proof }, undefined, 2)}\n`;
    await writeOutputs([{ file: join(folder, "verify.json"), content: text }]);
  }
  const deployment =
    converted !== undefined && size !== undefined && flags.measure && measured !== undefined
      ? await measureDeployment(run, converted, size, measured.data, flags)
      : undefined;
  if (flags.json === true) {
    // What is undefined is left out of the document.
    printJson({
      schemaVersion: 1,
      run: path,
      step: run.step,
      files: written,
      size,
      notes: [...ofData, ...notes],
      deployment,
      verification: proof,
    });
  } else {
    printFiles(written);
    if (size !== undefined) printSize(size, flags);
    if (flags.quiet !== true) printNotes(notes, flags);
    if (converted !== undefined && flags.residualBits === false) printHint(converted.network, wanted);
    if (proof !== undefined) printProof(proof, wanted, sampleWord(run.data.test.sampleShape));
    if (deployment !== undefined) print(...deploymentLines(deployment));
  }
  if (proof !== undefined) requireAgreement(proof);
}

/** The run's network with the quantizers that are added to it, and its integers. */
async function integersOf(
  path: string,
  run: LoadedRun,
  flags: ConvertFlags,
): Promise<{ readonly source: QuantizedNetwork; readonly network: IntegerNetwork }> {
  const { network: trained } = run;
  if (!isQuantized(trained)) {
    throw new UnsupportedError("the run trained in float: there are no integers to convert to", {
      where: path,
      remedy:
        "Train with a preset first, for example: subbyte train --preset lsq --from RUN. For the float model: --format float.",
    });
  }
  const source = await withResidualBits(trained, run.data.train, flags);
  const network = convertedOrAllObstacles(source, { input: inputOf(run.data.test) });
  return { source, network: withLayoutNote(withAddedNotes(network, trained, source), run) };
}

/** @throws UnsupportedError that lists all that has no integer form, not only what comes first. */
function convertedOrAllObstacles(source: QuantizedNetwork, options: ConvertOptions): IntegerNetwork {
  try {
    return convert(source, options);
  } catch (error) {
    throw error instanceof UnsupportedError ? withAllObstacles(error, source, options) : error;
  }
}

function describeFile(folder: string, { name, parts, memory }: ConvertedFile): WrittenFile {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  return { file: join(folder, name), bytes, ...(memory === undefined ? {} : { memory }) };
}

/** The notes on quantizers that were added after training: they are not part of the run's own simulation. */
function withAddedNotes(network: IntegerNetwork, trained: QuantizedNetwork, source: QuantizedNetwork): IntegerNetwork {
  const added = source.sites.slice(trained.sites.length);
  const notes = added.map(({ tensor, spec }) => ({
    kind: "added quantizer" as const,
    where: tensor,
    message: `${spec.bits}-bit quantizer added after training, also in the simulation`,
  }));
  return { ...network, notes: [...notes, ...network.notes] };
}

/** A model that takes channels last was trained as one that has them first, and its integers are of that one. */
function withLayoutNote(network: IntegerNetwork, { config, data }: LoadedRun): IntegerNetwork {
  if (!modelTakesChannelsLast(config, data)) return network;
  const { name, sampleShape } = network.input;
  const message = `the input is ${showBatchOf(sampleShape)}, channels first; the original model takes channels last`;
  return { ...network, notes: [{ kind: "channels first", where: name, message }, ...network.notes] };
}

/** Refuses the folder of a training that still runs or was stopped; a checkpoint file is always accepted. */
async function requireFinished(path: string, run: LoadedRun): Promise<void> {
  const isFolder = (await stat(path)).isDirectory();
  if (!isFolder || existsSync(runPaths(path).summary)) return;
  throw new UnsupportedError(`the run has not finished: it stopped after ${run.step} steps`, {
    where: path,
    remedy: `Finish it with subbyte train --resume ${path}, or name the checkpoint file to convert it as it is.`,
  });
}

/** Every code of every layer: the simulation, each format that ONNX Runtime executes, and the interpreter for some images. */
async function prove(
  network: IntegerNetwork,
  wanted: readonly FormatDefinition[],
  data: Dataset,
  flags: ConvertFlags,
): Promise<VerificationResult> {
  const engine = nodeEngine({ threads: flags.threads });
  const batchSize = Math.min(verifyBatch, data.count);
  const options = { batchSize, arithmetic: flags.arithmetic, packed: flags.pack };
  const checked = [...new Set([intFormat, ...wanted])];
  const made = await Promise.all(checked.map((format) => format.runner?.(network, options, engine)));
  const runners = made.filter((runner): runner is ConvertedRunner => runner !== undefined);
  try {
    return await verify(network, data, engine, { batchSize, interpretedSamples: flags.interpret, runners });
  } finally {
    await Promise.all(runners.map((runner) => runner.release()));
  }
}

function requireAgreement(proof: VerificationResult): void {
  const wrong = proof.programs.find((program) => program.mismatches > 0 && !sumsFloats(program));
  if (wrong?.first === undefined) return;
  throw new RuntimeError(`${wrong.mismatches} of ${wrong.compared} codes differ`, {
    where: showMismatch(wrong.first),
    remedy: "This is a bug in subbyte: please report it with verify.json. Do not deploy these files.",
  });
}
