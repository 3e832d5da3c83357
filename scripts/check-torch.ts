/**
 * Compares imported networks with torch: outputs in evaluation, loss and gradients of one training step.
 *
 *     /usr/bin/python3 scripts/export-torchvision.py FOLDER     or     python3 scripts/export-dynamo.py FOLDER
 *     npx tsx scripts/check-torch.ts FOLDER [name ...]
 *
 * Errors are relative: the norm of the difference by the norm of what torch has, for each parameter tensor by itself. The
 * gradient of a bias before a batch normalization is zero, so what each program has there is rounding: it is measured by
 * the gradient of the weight next to it. Every network runs twice, with the operators that every engine has (generic) and with
 * those that the CPU is given (cpu); each figure is the larger of the two. Ends with code 1 where an output, the loss or a
 * gradient is over its limit, from torch's float32 and from its float64, or where a gradient is missing.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { formatTable } from "../src/cli/view/table.ts";
import { addForward, evaluationMode, trainingMode } from "../src/compile/build/forward.ts";
import { bindBatch } from "../src/compile/passes/bind-batch.ts";
import { differentiate } from "../src/compile/passes/differentiate.ts";
import { newBuilder, operators } from "../src/compile/registry.ts";
import { importOnnxFile } from "../src/importer/node-files.ts";
import type { Value } from "../src/ir/graph.ts";
import { dataInputs, type Network } from "../src/ir/network.ts";
import { float32Data, float32Scalar, makeTensor, type Tensor } from "../src/ir/tensor.ts";
import type { Target } from "../src/ops/definition.ts";
import { crossEntropy } from "../src/ops/internal/loss.ts";
import { genericTarget } from "../src/ops/targets.ts";
import { decodeSafetensors } from "../src/runs/safetensors.ts";
import { emit } from "../src/runtime/job.ts";
import { nodeEngine } from "../src/runtime/node/node.ts";
import { emptyOutputs, normOf, relativeError, runBytes } from "./tensor-runs.ts";

const outputLimit = 1e-4;
const lossLimit = 1e-3;
const gradientLimit = 1e-3;
/** A bias whose gradient in float64 is below this share of its weight's has the gradient zero. */
const zeroShare = 1e-9;

interface Job {
  readonly bytes: Uint8Array;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/** The network's outputs, or with labels the loss and the gradients, as one graph for the engine. */
function job(source: Network, batch: number, training: boolean, target: Target): Job {
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
  const outputs = emptyOutputs(graph.outputs.map(({ name, value }) => ({ name, type: value.type })));
  return { bytes: emit(graph, target), outputs };
}

interface Row extends Comparison {
  readonly name: string;
  readonly seconds: number;
  readonly nodes: number;
}

/** With torch, of the network with one set of operators. */
interface Comparison {
  readonly output: number;
  readonly loss: number;
  readonly gradients: GradientErrors;
}

/** Of the gradients of one training step: the largest errors. */
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
  /** The tensors that are over the limit. */
  readonly over: readonly string[];
}

function errorsOf(all: ReadonlyMap<string, number>): Errors {
  const over = [...all].flatMap(([name, error]) => (error <= gradientLimit ? [] : [name]));
  return { worst: Math.max(0, ...all.values()), over };
}

type Tensors = ReadonlyMap<string, Tensor>;

async function check(folder: string, name: string): Promise<Row> {
  const tensors: Tensors = decodeSafetensors(readFileSync(join(folder, `${name}.safetensors`)), name).tensors;
  const start = performance.now();
  const network = importOnnxFile(join(folder, `${name}.onnx`));
  const seconds = (performance.now() - start) / 1000;
  const [generic, cpu] = [
    await compare(network, name, tensors, genericTarget),
    await compare(network, name, tensors, await nodeEngine().target()),
  ];
  return { name, seconds, nodes: network.graph.nodes.length, ...worse(generic, cpu) };
}

async function compare(network: Network, name: string, tensors: Tensors, target: Target): Promise<Comparison> {
  const tensor = (key: string): Tensor => {
    const found = tensors.get(key);
    if (found === undefined) throw new Error(`${name}.safetensors has no "${key}"`);
    return found;
  };
  const batch = tensor("input").shape[0] ?? 1;
  const feeds: Record<string, Tensor> = { labels: tensor("labels") };
  for (const { name: parameter, value } of network.parameters) feeds[parameter] = value;
  feeds[dataInputs(network)[0]?.name ?? ""] = tensor("input");
  const evaluation = job(network, batch, false, target);
  await runBytes(evaluation.bytes, feeds, evaluation.outputs);
  const training = job(network, batch, true, target);
  await runBytes(training.bytes, feeds, training.outputs);
  return {
    output: relativeError(evaluation.outputs.output, tensor("output")),
    loss: relativeError(training.outputs.loss, tensor("loss")),
    gradients: compareGradients(tensors, training.outputs, ownNames(tensors, network)),
  };
}

/** The larger of each error. */
function worse(one: Comparison, other: Comparison): Comparison {
  const errors = (of: (gradients: GradientErrors) => Errors): Errors => {
    const [a, b] = [of(one.gradients), of(other.gradients)];
    return { worst: Math.max(a.worst, b.worst), over: [...new Set([...a.over, ...b.over])] };
  };
  return {
    output: Math.max(one.output, other.output),
    loss: Math.max(one.loss, other.loss),
    gradients: {
      compared: Math.min(one.gradients.compared, other.gradients.compared),
      missing: [...new Set([...one.gradients.missing, ...other.gradients.missing])],
      fromTorch: errors(({ fromTorch }) => fromTorch),
      fromExact: errors(({ fromExact }) => fromExact),
      torchFromExact: one.gradients.torchFromExact,
    },
  };
}

/** The names that parameters have here, by torch's: exporters that compute with a weight give it a name of their own. */
function ownNames(tensors: Tensors, network: Network): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const named = new Set(network.parameters.map(({ name }) => name));
  for (const [key, value] of tensors) {
    const name = key.slice("value.".length);
    if (!key.startsWith("value.") || named.has(name)) continue;
    const same = network.parameters.find(
      (own) => !tensors.has(`grad.${own.name}`) && relativeError(inShapeOf(value, own.value), value) < 1e-5,
    );
    if (same !== undefined) names.set(name, same.name);
  }
  return names;
}

const emptyErrors = () => new Map<string, number>();

function compareGradients(
  tensors: Tensors,
  results: Readonly<Record<string, Tensor>>,
  ownName: ReadonlyMap<string, string>,
): GradientErrors {
  const missing: string[] = [];
  const [fromTorch, fromExact, torchFromExact] = [emptyErrors(), emptyErrors(), emptyErrors()];
  for (const [key, torch] of tensors) {
    if (!key.startsWith("grad.")) continue;
    const name = key.slice("grad.".length);
    const exact = tensors.get(`exact.${name}`);
    const own = inShapeOf(torch, results[`grad.${ownName.get(name) ?? name}`]);
    if (exact === undefined || own === undefined) {
      missing.push(name);
      continue;
    }
    const scale = scaleOf(name, tensors);
    fromTorch.set(name, relativeError(own, torch, scale));
    fromExact.set(name, relativeError(own, exact, scale));
    torchFromExact.set(name, relativeError(torch, exact, scale));
  }
  return {
    compared: fromTorch.size,
    missing,
    fromTorch: errorsOf(fromTorch),
    fromExact: errorsOf(fromExact),
    torchFromExact: errorsOf(torchFromExact),
  };
}

/** What the error of a gradient is measured by: its own norm, or its weight's where its own is zero but for rounding. */
function scaleOf(name: string, tensors: Tensors): number {
  const norm = (of: string) => normOf(float32Data(tensors.get(`exact.${of}`) ?? float32Scalar(0)));
  const [own, sibling] = [norm(name), name.endsWith("bias") ? norm(name.replace(/bias$/, "weight")) : 0];
  return own < zeroShare * sibling ? sibling : own;
}

/** A matrix that the importer transposed once, as it stood before a product, back in torch's shape. */
function inShapeOf(expected: Tensor, own: Tensor | undefined): Tensor | undefined {
  const [rows = 0, columns = 0] = expected.shape;
  if (own === undefined || expected.shape.length !== 2 || own.shape.join() !== [columns, rows].join()) return own;
  if (rows === columns && relativeError(own, expected) < 0.5) return own;
  const data = float32Data(own);
  const turned = data.map((_, i) => data[(i % columns) * rows + Math.floor(i / columns)] ?? 0);
  return makeTensor("float32", [rows, columns], turned);
}

async function main(): Promise<void> {
  const [folder, ...names] = process.argv.slice(2);
  if (folder === undefined) throw new Error("which folder did the export script write to?");
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
  const show = (error: number) => error.toExponential(1);
  const showErrors = (errors: Errors) =>
    `${show(errors.worst)}${errors.over.length > 0 ? ` (${errors.over.length} over)` : ""}`;
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
        gradients.compared,
        showErrors(gradients.fromTorch),
        showErrors(gradients.fromExact),
        showErrors(gradients.torchFromExact),
      ]),
    )}\nGradients: the largest error of a tensor, and how many are over ${gradientLimit}.\n`,
  );
  for (const { name, output, loss, gradients } of rows) {
    const { missing, fromTorch, fromExact } = gradients;
    const over = [...new Set([...fromTorch.over, ...fromExact.over])];
    if (missing.length > 0) process.stderr.write(`${name}: no gradients of ${missing.join(", ")}\n`);
    if (over.length > 0) process.stderr.write(`${name}: over the limit: ${over.join(", ")}\n`);
    if (!(output <= outputLimit && loss <= lossLimit) || missing.length + over.length > 0) process.exitCode = 1;
  }
}

await main();
