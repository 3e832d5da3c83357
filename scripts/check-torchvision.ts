/**
 * Compares imported torchvision networks with torch: outputs in evaluation, loss and gradients of one training step.
 *
 *     /usr/bin/python3 scripts/export-torchvision.py FOLDER
 *     npx tsx scripts/check-torchvision.ts FOLDER [name ...]
 *
 * Errors are relative: the norm of the difference by the norm of what torch has. Gradients are compared with torch's in
 * float32 and with its in float64, from which torch's own float32 is as far in some deep networks with random weights. Ends
 * with code 1 where the outputs or the loss differ by too much, where a gradient is missing, or where a network's worst
 * gradient is over the limit and farther from float64 than torch's worst.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { formatTable } from "../src/cli/table.ts";
import { bindBatch } from "../src/compile/bind-batch.ts";
import { differentiate } from "../src/compile/differentiate.ts";
import { addForward, evaluationMode, trainingMode } from "../src/compile/forward.ts";
import { newBuilder, operators } from "../src/compile/registry.ts";
import type { Value } from "../src/graph/graph.ts";
import { dataInputs, type Network } from "../src/graph/network.ts";
import { allocate, float32Data, float32Scalar, makeTensor, type Tensor } from "../src/graph/tensor.ts";
import { elementCount } from "../src/graph/types.ts";
import { importOnnx } from "../src/importer/import.ts";
import { crossEntropy } from "../src/ops/loss.ts";
import { emit } from "../src/runtime/job.ts";
import { nodeEngine } from "../src/runtime/node.ts";
import { genericTarget } from "../src/runtime/probe.ts";
import { decodeSafetensors } from "../src/train/safetensors.ts";

const outputLimit = 1e-4;
const gradientLimit = 1e-3;
/** Gradients below this share of the largest one's norm are zero but for rounding. */
const zeroShare = 1e-4;

interface Job {
  readonly bytes: Uint8Array;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/** The network's outputs, or with labels the loss and the gradients, as one graph for the engine. */
function job(source: Network, batch: number, training: boolean): Job {
  const network = bindBatch(source, batch);
  const builder = newBuilder("check");
  const inputs = new Map(network.graph.inputs.map((input) => [input.name, builder.input(input.name, input.type)]));
  const forward = addForward(builder, network, inputs, training ? trainingMode : evaluationMode);
  const [prediction] = forward.outputs.values();
  if (prediction === undefined) throw new Error("the network has no output");
  const results = new Map<string, Value>([["output", prediction]]);
  if (training) {
    const labels = builder.input("labels", { dtype: "int64", shape: [batch] });
    const loss = crossEntropy(builder, prediction, labels);
    const trained = network.parameters.filter(({ trainable }) => trainable);
    const wanted = trained.flatMap(({ name }) => inputs.get(name) ?? []);
    const gradients = differentiate(builder, operators, builder.nodes, loss, wanted);
    results.set("loss", loss);
    for (const { name } of trained) {
      const value = inputs.get(name);
      const gradient = value === undefined ? undefined : gradients.get(value);
      if (gradient !== undefined) results.set(`grad.${name}`, gradient);
    }
  }
  for (const [name, value] of results) builder.output(name, value);
  const graph = builder.finish();
  const outputs = Object.fromEntries(
    graph.outputs.map(({ name, value: { type } }) => [
      name,
      makeTensor(type.dtype, type.shape, allocate(type.dtype, elementCount(type.shape))),
    ]),
  );
  return { bytes: emit(graph, genericTarget), outputs };
}

async function run({ bytes, outputs }: Job, feeds: Readonly<Record<string, Tensor>>): Promise<void> {
  const session = await nodeEngine().createSession(bytes);
  const used = Object.fromEntries(session.inputNames.flatMap((name) => (feeds[name] ? [[name, feeds[name]]] : [])));
  await session.run(used, outputs);
  await session.release();
}

function normOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

/** The norm of the difference by the norm of what is expected, or by `smallest` where that is larger. */
function relativeError(actual: Tensor | undefined, expected: Tensor, smallest = 1e-30): number {
  if (actual === undefined) return Number.POSITIVE_INFINITY;
  const [a, b] = [float32Data(actual), float32Data(expected)];
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return normOf(a.map((value, i) => value - (b[i] ?? 0))) / Math.max(normOf(b), smallest);
}

interface Row {
  readonly name: string;
  readonly seconds: number;
  readonly nodes: number;
  readonly output: number;
  readonly loss: number | undefined;
  readonly gradients: GradientErrors | undefined;
}

/** Of the gradients of one training step: the largest errors, and how many are over the limit. */
interface GradientErrors {
  readonly compared: number;
  readonly missing: readonly string[];
  /** From torch's float32. */
  readonly fromTorch: Errors;
  /** From torch's float64. */
  readonly fromExact: Errors;
  /** Of torch's float32 from its float64. */
  readonly torchFromExact: Errors;
}

interface Errors {
  readonly worst: number;
  readonly over: number;
}

function errorsOf(all: readonly number[]): Errors {
  return { worst: Math.max(0, ...all), over: all.filter((error) => error > gradientLimit).length };
}

async function check(folder: string, name: string): Promise<Row> {
  const bytes = readFileSync(join(folder, `${name}.onnx`));
  const { tensors } = decodeSafetensors(readFileSync(join(folder, `${name}.safetensors`)), name);
  const start = performance.now();
  const network = importOnnx(bytes, { source: name });
  const seconds = (performance.now() - start) / 1000;
  const tensor = (key: string): Tensor => {
    const found = tensors.get(key);
    if (found === undefined) throw new Error(`${name}.safetensors has no "${key}"`);
    return found;
  };
  const batch = tensor("input").shape[0] ?? 1;
  const feeds: Record<string, Tensor> = { labels: tensor("labels") };
  for (const { name: parameter, value } of network.parameters) feeds[parameter] = value;
  feeds[dataInputs(network)[0]?.name ?? ""] = tensor("input");
  const evaluation = job(network, batch, false);
  await run(evaluation, feeds);
  const output = relativeError(evaluation.outputs.output, tensor("output"));
  const row = { name, seconds, nodes: network.graph.nodes.length, output };
  // The gradients of a network with folded normalization are those of another network.
  if (name.endsWith("-folded")) return { ...row, loss: undefined, gradients: undefined };
  const training = job(network, batch, true);
  await run(training, feeds);
  const loss = relativeError(training.outputs.loss, tensor("loss"));
  return { ...row, loss, gradients: compareGradients(tensors, training.outputs) };
}

function compareGradients(
  tensors: ReadonlyMap<string, Tensor>,
  results: Readonly<Record<string, Tensor>>,
): GradientErrors {
  const names = [...tensors.keys()].flatMap((key) => (key.startsWith("grad.") ? [key.slice("grad.".length)] : []));
  // A bias before a normalization has the gradient zero: what is there is rounding, and is measured against the others.
  const norms = names.map((name) => normOf(float32Data(tensors.get(`exact.${name}`) ?? float32Scalar(0))));
  const smallest = zeroShare * Math.max(...norms);
  const missing: string[] = [];
  const [fromTorch, fromExact, torchFromExact]: [number[], number[], number[]] = [[], [], []];
  for (const name of names) {
    const [torch, exact] = [tensors.get(`grad.${name}`), tensors.get(`exact.${name}`)];
    const own = torch && inShapeOf(torch, results[`grad.${name}`]);
    if (torch === undefined || exact === undefined || own === undefined) {
      missing.push(name);
      continue;
    }
    fromTorch.push(relativeError(own, torch, smallest));
    fromExact.push(relativeError(own, exact, smallest));
    torchFromExact.push(relativeError(torch, exact, smallest));
  }
  return {
    compared: fromTorch.length,
    missing,
    fromTorch: errorsOf(fromTorch),
    fromExact: errorsOf(fromExact),
    torchFromExact: errorsOf(torchFromExact),
  };
}

/** A matrix that the importer transposed once, as it stood before a product, back in torch's shape. */
function inShapeOf(gradient: Tensor, own: Tensor | undefined): Tensor | undefined {
  const [rows = 0, columns = 0] = gradient.shape;
  if (own === undefined || gradient.shape.length !== 2 || own.shape.join() !== [columns, rows].join()) return own;
  if (rows === columns && relativeError(own, gradient) < 0.5) return own;
  const data = float32Data(own);
  const turned = data.map((_, i) => data[(i % columns) * rows + Math.floor(i / columns)] ?? 0);
  return makeTensor("float32", [rows, columns], turned);
}

async function main(): Promise<void> {
  const [folder, ...names] = process.argv.slice(2);
  if (folder === undefined) throw new Error("which folder did scripts/export-torchvision.py write to?");
  const all = readdirSync(folder).flatMap((file) => (file.endsWith(".onnx") ? [file.slice(0, -".onnx".length)] : []));
  const rows: Row[] = [];
  for (const name of names.length > 0 ? names : all.sort()) {
    try {
      rows.push(await check(folder, name));
    } catch (error) {
      process.stderr.write(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exitCode = 1;
    }
  }
  const show = (error: number | undefined) => (error === undefined ? "-" : error.toExponential(1));
  const showErrors = (errors: Errors | undefined) =>
    errors === undefined ? "-" : `${show(errors.worst)}${errors.over > 0 ? ` (${errors.over} over)` : ""}`;
  const headings = ["network", "import s", "nodes", "output", "loss", "gradients"];
  const of = ["ours to torch float32", "ours to torch float64", "torch float32 to float64"];
  process.stdout.write(
    `${formatTable(
      [...headings, ...of],
      rows.map(({ name, seconds, nodes, output, loss, gradients }) => [
        name,
        seconds.toFixed(2),
        nodes,
        show(output),
        show(loss),
        gradients?.compared ?? "-",
        showErrors(gradients?.fromTorch),
        showErrors(gradients?.fromExact),
        showErrors(gradients?.torchFromExact),
      ]),
    )}\nGradients: the largest error of a tensor, and how many are over ${gradientLimit}.\n`,
  );
  for (const { name, output, loss, gradients } of rows) {
    const missing = gradients?.missing ?? [];
    if (missing.length > 0) process.stderr.write(`${name}: no gradients of ${missing.join(", ")}\n`);
    const allowed = Math.max(gradientLimit, gradients?.torchFromExact.worst ?? 0);
    const isWrong = (gradients?.fromExact.worst ?? 0) > allowed || missing.length > 0;
    if (isWrong || output > outputLimit || (loss ?? 0) > gradientLimit) process.exitCode = 1;
  }
}

await main();
