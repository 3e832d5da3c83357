/**
 * Compares imported torchvision networks with torch: outputs in evaluation, loss and gradients of one training step.
 *
 *     /usr/bin/python3 scripts/export-torchvision.py FOLDER
 *     npx tsx scripts/check-torchvision.ts FOLDER [name ...]
 *
 * Errors are relative: the norm of the difference by the norm of what torch has. Ends with code 1 where one is too large.
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
import { allocate, float32Data, makeTensor, type Tensor } from "../src/graph/tensor.ts";
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
/** A deep network of ReLUs amplifies rounding: there torch's float32 is as far from its float64 as from anybody's. */
const allowedRounding = 2;

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
  readonly parameters: number;
  readonly output: number;
  readonly loss: number | null;
  readonly worst: number | null;
  readonly where: string;
  /** How far torch's own float32 gradients are from its float64 ones. */
  readonly rounding: number | null;
  /** Gradients that are neither within the limit nor within torch's own rounding. */
  readonly failures: number;
  readonly compared: string;
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
  const row = { name, seconds, nodes: network.graph.nodes.length, parameters: network.parameters.length, output };
  // The gradients of a network with folded normalization are those of another network.
  if (name.endsWith("-folded"))
    return { ...row, loss: null, worst: null, where: "", rounding: null, failures: 0, compared: "outputs" };
  const training = job(network, batch, true);
  await run(training, feeds);
  let worst = 0;
  let where = "";
  let compared = 0;
  let own64 = 0;
  let failures = 0;
  const missing: string[] = [];
  const expected = [...tensors].filter(([key]) => key.startsWith("grad."));
  // A bias before a normalization has the gradient zero: what is there is rounding, and is measured against the others.
  const smallest = zeroShare * Math.max(...expected.map(([, gradient]) => normOf(float32Data(gradient))));
  for (const [key, gradient] of expected) {
    const own = inShapeOf(gradient, training.outputs[key]);
    if (own === undefined) {
      missing.push(key);
      continue;
    }
    compared++;
    const error = relativeError(own, gradient, smallest);
    const rounding = float32Data(tensor(key.replace("grad.", "rounding.")))[0] ?? 0;
    own64 = Math.max(own64, rounding);
    if (error > Math.max(gradientLimit, allowedRounding * rounding)) failures++;
    if (error > worst) [worst, where] = [error, key.replace("grad.", "")];
  }
  if (missing.length > 0) process.stderr.write(`${name}: no gradient of ${missing.slice(0, 5).join(", ")}\n`);
  const loss = relativeError(training.outputs.loss, tensor("loss"));
  return { ...row, loss, worst, where, rounding: own64, failures, compared: `${compared} of ${expected.length}` };
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
  const show = (error: number | null) => (error === null ? "-" : error.toExponential(1));
  process.stdout.write(
    `${formatTable(
      [
        "network",
        "import s",
        "nodes",
        "parameters",
        "output",
        "loss",
        "worst gradient",
        "of",
        "torch's rounding",
        "compared",
      ],
      rows.map((row) => [
        row.name,
        row.seconds.toFixed(2),
        row.nodes,
        row.parameters,
        show(row.output),
        show(row.loss),
        show(row.worst),
        row.where,
        show(row.rounding),
        row.compared,
      ]),
    )}\n`,
  );
  const bad = rows.some(
    ({ output, loss, failures }) => output > outputLimit || (loss ?? 0) > gradientLimit || failures > 0,
  );
  if (bad) process.exitCode = 1;
}

await main();
