/**
 * Compares subbyte with ONNX Runtime and torch on the networks of scripts/random-networks/write.py.
 *
 *     npx tsx scripts/random-networks/check.ts FOLDER [FIRST [LAST]]
 *
 * For each file: the outputs in evaluation, accuracy and loss as `eval` gives them, the loss and the gradients of the first
 * training step, a run of one step with its checkpoint, BatchNorm put back, 8-bit quantizers, and the codes of the integers.
 * A kind is "equal", "refused" (an error with a remedy), "noted", "not compared", or "defect". Ends with code 1 for a defect.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEvaluatedFile } from "../../src/cli/commands/eval/file.ts";
import { formatTable } from "../../src/cli/view/table.ts";
import { addForward, evaluationMode, type ForwardMode, trainingMode } from "../../src/compile/build/forward.ts";
import { logitsOf } from "../../src/compile/build/outputs.ts";
import { bindBatch } from "../../src/compile/passes/bind-batch.ts";
import { differentiate } from "../../src/compile/passes/differentiate.ts";
import { newBuilder, operators } from "../../src/compile/registry.ts";
import { isQuantized } from "../../src/compile/sites.ts";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import type { TrainingConfig } from "../../src/config/schema/schema.ts";
import { convert } from "../../src/convert/convert.ts";
import { verify } from "../../src/convert/prove/verify.ts";
import { SubbyteError } from "../../src/errors.ts";
import type { ImportedNetwork } from "../../src/importer/import.ts";
import { inspectNetwork } from "../../src/importer/inspect.ts";
import { importOnnxFile } from "../../src/importer/node-files.ts";
import type { Value } from "../../src/ir/graph.ts";
import { dataInputs, type Network } from "../../src/ir/network.ts";
import { float32Data, float32Scalar, makeTensor, type Tensor } from "../../src/ir/tensor.ts";
import { crossEntropy } from "../../src/ops/internal/loss.ts";
import { decodeSafetensors } from "../../src/runs/safetensors.ts";
import { emit } from "../../src/runtime/job.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { evaluate, inputOf } from "../../src/train/loop/evaluate.ts";
import { startRun } from "../../src/train/run.ts";
import { loadData, prepareTraining } from "../../src/train/setup.ts";
import { emptyOutputs, normOf, relativeError, runBytes } from "../tensor-runs.ts";

const limits = { float32: { output: 1e-4, gradient: 2e-3 }, float16: { output: 2e-2, gradient: 2e-2 } };
const engine = nodeEngine({ threads: 1 });

interface How {
  readonly exporter: string;
  readonly mode: string;
  readonly dtype: string;
  readonly opset: number;
  readonly batch: number | "any";
  readonly classes: number;
  readonly sample: readonly number[];
}

type Outcome = "equal" | "refused" | "noted" | "not compared" | "defect";

interface Result {
  readonly kind: string;
  readonly outcome: Outcome;
  readonly text?: string;
}

type Tensors = ReadonlyMap<string, Tensor>;

interface Case {
  readonly seed: string;
  readonly file: string;
  readonly folder: string;
  readonly how: How;
  readonly tensors: Tensors;
}

const of = (kind: string, outcome: Outcome, text?: string): Result =>
  text === undefined ? { kind, outcome } : { kind, outcome, text };

/** An error that tells the user what to do is a refusal, any other a defect. */
function failed(kind: string, error: unknown): Result {
  if (error instanceof SubbyteError && error.remedy !== undefined)
    return of(kind, "refused", `${error.message} [${error.where}]`);
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return of(kind, "defect", text.split("\n").slice(0, 4).join(" | "));
}

async function attempt(kind: string, job: () => Promise<Result>): Promise<Result> {
  try {
    return await job();
  } catch (error) {
    return failed(kind, error);
  }
}

function firstSamples(tensor: Tensor, count: number): Tensor {
  const size = tensor.data.length / (tensor.shape[0] ?? 1);
  const { data } = tensor;
  const shape = [count, ...tensor.shape.slice(1)];
  if (data instanceof Float32Array) return makeTensor("float32", shape, data.slice(0, count * size));
  if (data instanceof BigInt64Array) return makeTensor("int64", shape, data.slice(0, count * size));
  throw new Error("which type is that?");
}

async function run(
  source: Network,
  c: Case,
  mode: ForwardMode,
  gradients: boolean,
): Promise<Readonly<Record<string, Tensor>>> {
  const all = c.tensors.get("input");
  const labelled = c.tensors.get("labels");
  if (all === undefined || labelled === undefined) throw new Error("no input");
  const batch = typeof c.how.batch === "number" ? c.how.batch : (all.shape[0] ?? 1);
  const network = bindBatch(source, batch);
  const builder = newBuilder("check");
  const inputs = new Map(network.graph.inputs.map((input) => [input.name, builder.input(input.name, input.type)]));
  const forward = addForward(builder, network, inputs, mode);
  const [prediction] = forward.outputs.values();
  if (prediction === undefined) throw new Error("the network has no output");
  const results = new Map<string, Value>([["output", prediction]]);
  if (gradients) {
    const labels = builder.input("labels", { dtype: "int64", shape: [batch] });
    const loss = crossEntropy(builder, logitsOf(builder.nodes, prediction), labels);
    results.set("loss", loss);
    const trained = network.parameters.filter(({ trainable }) => trainable);
    const found = differentiate(
      builder,
      operators,
      builder.nodes,
      loss,
      trained.flatMap(({ name }) => inputs.get(name) ?? []),
    );
    for (const { name } of trained) {
      const value = inputs.get(name);
      const gradient = value === undefined ? undefined : found.get(value);
      if (gradient !== undefined) results.set(`grad.${name}`, gradient);
    }
  }
  for (const [name, value] of results) builder.output(name, value);
  const graph = builder.finish();
  const outputs = emptyOutputs(graph.outputs.map(({ name, value }) => ({ name, type: value.type })));
  const feeds: Record<string, Tensor> = { labels: firstSamples(labelled, batch) };
  for (const { name, value } of network.parameters) feeds[name] = value;
  feeds[dataInputs(network)[0]?.name ?? ""] = firstSamples(all, batch);
  await runBytes(emit(graph, await engine.target()), feeds, outputs);
  return outputs;
}

/** In evaluation; what ONNX Runtime gives for a file that was exported for training is that of the batch. */
function expectedOutput({ tensors, how }: Case): Tensor | undefined {
  const [plain, output] = [tensors.get("plain"), tensors.get("output")];
  if (how.mode === "training") return plain;
  return output ?? plain;
}

/** The error of the samples that both have. */
function firstError(output: Tensor | undefined, expected: Tensor): number {
  const count = Math.min(output?.shape[0] ?? 0, expected.shape[0] ?? 0);
  return relativeError(output && firstSamples(output, count), firstSamples(expected, count));
}

function limitsOf({ dtype }: How) {
  return dtype === "float16" ? limits.float16 : limits.float32;
}

async function checkOutput(network: ImportedNetwork, c: Case): Promise<Result> {
  const expected = expectedOutput(c);
  if (expected === undefined) return of("output", "not compared");
  const { output } = await run(network, c, evaluationMode, false);
  const error = firstError(output, expected);
  if (error <= limitsOf(c.how).output) return of("output", "equal");
  return of("output", "defect", `off by ${error.toExponential(1)}`);
}

/** The same matrix or kernel with another order of axes has the same numbers in order of size. */
function sameAs(own: Tensor, value: Tensor): boolean {
  const [a, b] = [Float32Array.from(float32Data(own)).sort(), Float32Array.from(float32Data(value)).sort()];
  return a.length === b.length && normOf(a.map((x, i) => x - (b[i] ?? 0))) <= 1e-5 * Math.max(normOf(b), 1e-30);
}

/** The importer stores the weights of products turned, and a square matrix has the same shape then. */
function transposed(data: Float32Array, [rows = 0, columns = 0, ...rest]: readonly number[]): Float32Array {
  if (rest.length > 0 || columns === 0) return data;
  return data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)] ?? 0);
}

/** Relative to its norm, or to a share of the largest: that of a bias before a normalization is rounding. */
function gradientError(own: Tensor, twin: string, tensors: Tensors, largest: number): number {
  const [expected, noise] = [tensors.get(`grad.${twin}`), tensors.get(`noise.${twin}`)];
  if (expected === undefined) return Number.POSITIVE_INFINITY;
  const [a, b] = [float32Data(own), float32Data(expected)];
  const scale = Math.max(normOf(b), 1e-3 * largest);
  const rounding = 3 * (float32Data(noise ?? float32Scalar(0))[0] ?? 0);
  const from = (x: Float32Array, y: Float32Array) =>
    Math.max(0, normOf(x.map((value, i) => value - (y[i] ?? 0))) / scale - rounding);
  if (own.shape.join() !== expected.shape.join() && own.shape.join() !== [...expected.shape].reverse().join())
    return from(Float32Array.from(a).sort(), Float32Array.from(b).sort());
  return Math.min(from(a, b), from(transposed(a, own.shape), b));
}

/**
 * The initializers of the file that a parameter may be: those with its numbers, if these differ from one another. An exporter
 * may store a tied weight twice, and the name of one is then given to the other.
 */
function twinsOf(name: string, value: Tensor, tensors: Tensors): readonly string[] {
  const all = [...tensors.keys()].flatMap((key) => {
    const twin = key.slice("value.".length);
    return key.startsWith("value.") && tensors.has(`grad.${twin}`) ? twin : [];
  });
  const [first, ...rest] = float32Data(value);
  const isVaried = rest.some((number) => number !== first);
  return all.filter((twin) => {
    const other = tensors.get(`value.${twin}`);
    return twin === name || (other !== undefined && isVaried && sameAs(value, other));
  });
}

async function checkGradients(network: ImportedNetwork, c: Case): Promise<Result> {
  const loss = c.tensors.get("loss");
  if (loss === undefined) return of("first step", "not compared");
  const results = await run(network, c, trainingMode, true);
  const error = relativeError(results.loss, loss);
  if (!(error <= limitsOf(c.how).output)) return of("first step", "defect", `loss off by ${error.toExponential(1)}`);
  const norms = [...c.tensors].flatMap(([key, value]) => (key.startsWith("grad.") ? [normOf(float32Data(value))] : []));
  const largest = Math.max(...norms, 1e-12);
  const missing: string[] = [];
  let compared = 0;
  for (const { name, value, trainable } of network.parameters) {
    const gradient = results[`grad.${name}`];
    if (!trainable) {
      if (c.tensors.has(`grad.${name}`) && !network.imported.held.has(name)) missing.push(name);
      continue;
    }
    if (gradient === undefined) {
      if (normOf(float32Data(c.tensors.get(`grad.${name}`) ?? gradient ?? value)) > 0 && c.tensors.has(`grad.${name}`))
        return of("first step", "defect", `no gradient of ${name}`);
      continue;
    }
    const twins = twinsOf(name, value, c.tensors);
    if (twins.length === 0) continue;
    compared++;
    const off = Math.min(...twins.map((twin) => gradientError(gradient, twin, c.tensors, largest)));
    if (!(off <= limitsOf(c.how).gradient))
      return of("first step", "defect", `gradient of ${name} off by ${off.toExponential(1)}`);
  }
  if (missing.length > 0) return of("first step", "noted", `not trained: ${missing.join(", ")}`);
  const { held } = network.imported;
  if (held.size > 0) return of("first step", "noted", `held: ${[...new Set(held.values())].join("; ")}`);
  return of("first step", compared > 0 ? "equal" : "not compared");
}

async function checkEval(c: Case): Promise<Result> {
  const output = expectedOutput(c);
  const labels = c.tensors.get("labels");
  if (output === undefined || labels === undefined) return of("eval", "not compared");
  if (output.shape[0] !== labels.shape[0]) return of("eval", "not compared");
  const opened = await openEvaluatedFile(c.file, evalFlags(c));
  const result = await evaluate(opened.network, opened.data, engine, {});
  const width = output.shape[1] ?? 1;
  const scores = float32Data(output);
  const count = output.shape[0] ?? 0;
  let right = 0;
  for (let i = 0; i < count; i++) {
    const row = scores.subarray(i * width, (i + 1) * width);
    if (row.indexOf(Math.max(...row)) === Number(labels.data[i])) right++;
  }
  if (result.count === count && Math.round(result.accuracy * count) === right) return of("eval", "equal");
  return of(
    "eval",
    "defect",
    `${result.accuracy * count} of ${result.count} right, ${right} of ${count} in ONNX Runtime`,
  );
}

const evalFlags = (c: Case): Parameters<typeof openEvaluatedFile>[1] => ({
  checkpoint: "last",
  data: join(c.folder, `${c.seed}.npz`),
  set: ["data.normalization=none", ...layoutFlags(c)],
  device: "cpu",
  threads: 1,
});

const layoutFlags = ({ how: { sample } }: Case) => (sample.length === 3 ? ["data.layout=chw"] : []);

function configOf(c: Case, more: { readonly quantization?: object; readonly restore?: boolean } = {}): TrainingConfig {
  const { seed, how } = c;
  const text = JSON.stringify({
    model: { file: c.file, restoreBatchNorm: more.restore ?? false },
    data: {
      folder: join(c.folder, `${seed}.npz`),
      normalization: "none",
      ...(how.sample.length === 3 ? { layout: "chw" } : {}),
    },
    train: {
      epochs: 1,
      batchSize: how.batch === "any" ? 14 : how.batch,
      optimizer: { learningRate: 0.01, momentum: 0, weightDecay: 0 },
      schedule: { name: "constant", warmupEpochs: 0 },
    },
    threads: 1,
    ...(more.quantization === undefined ? {} : { quantization: more.quantization }),
  });
  return resolveTrainingConfig({ name: "check", text });
}

/** How far a weight is from the one that torch's gradient gives; undefined for one of another shape. */
function offAfterStep(value: Tensor, twin: string, tensors: Tensors): number | undefined {
  const [gradient, before] = [tensors.get(`grad.${twin}`), tensors.get(`value.${twin}`)];
  if (gradient === undefined || before === undefined) return undefined;
  if (![gradient.shape, [...gradient.shape].reverse()].some((shape) => shape.join() === value.shape.join()))
    return undefined;
  const [w, g, now] = [float32Data(before), float32Data(gradient), float32Data(value)];
  const moved = w.map((x, i) => x - 0.01 * (g[i] ?? 0));
  const ways = [now, transposed(now, value.shape)];
  return Math.min(...ways.map((own) => normOf(own.map((x, i) => x - (moved[i] ?? 0))) / Math.max(normOf(w), 1e-3)));
}

/** One step of `train` on all samples: its loss is the loss of torch, and the weights move by the gradient. */
async function checkRun(network: ImportedNetwork, c: Case): Promise<Result> {
  const loss = c.tensors.get("loss");
  if (loss === undefined || c.how.batch !== "any") return of("train", "not compared");
  const parent = mkdtempSync(join(tmpdir(), "random-networks-"));
  try {
    const { paths } = await startRun({ config: configOf(c), parent, name: "run" });
    const [line = "{}"] = readFileSync(paths.metrics, "utf8").split("\n");
    const record: unknown = JSON.parse(line);
    const own = typeof record === "object" && record !== null && "loss" in record ? Number(record.loss) : Number.NaN;
    const expected = float32Data(loss)[0] ?? Number.NaN;
    if (!(Math.abs(own - expected) <= limitsOf(c.how).output * Math.max(1, Math.abs(expected))))
      return of("train", "defect", `loss ${own}, torch ${expected}`);
    const { tensors } = decodeSafetensors(readFileSync(join(paths.checkpoints, "last.safetensors")), "last");
    for (const { name, value: initial } of network.parameters) {
      const value = tensors.get(name);
      if (network.imported.held.has(name) || value === undefined) continue;
      const offs = twinsOf(name, initial, c.tensors).flatMap((twin) => offAfterStep(value, twin, c.tensors) ?? []);
      const off = Math.min(...offs);
      if (offs.length > 0 && !(off <= 1e-4) && c.how.dtype !== "float16")
        return of("train", "defect", `${name} off by ${off.toExponential(1)} after a step`);
    }
    return of("train", "equal");
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

/** BatchNorm that is put back changes nothing in evaluation. */
async function checkRestored(c: Case): Promise<Result> {
  const expected = expectedOutput(c);
  if (expected === undefined) return of("BatchNorm back", "not compared");
  const config = configOf(c, { restore: true });
  const data = await loadData(config);
  const prepared = await prepareTraining(config, data, engine, await engine.target());
  const { output } = await run(prepared.network, c, evaluationMode, false);
  const error = firstError(output, expected);
  if (!(error <= 10 * limitsOf(c.how).output))
    return of("BatchNorm back", "defect", `off by ${error.toExponential(1)}`);
  return of("BatchNorm back", prepared.notes.some((note) => note.includes("put back")) ? "equal" : "not compared");
}

/** With 8 bits a network is close to itself; what converts has the codes of the simulation. */
async function checkQuantized(c: Case): Promise<readonly Result[]> {
  const expected = expectedOutput(c);
  if (expected === undefined) return [of("quantizers", "not compared")];
  const config = configOf(c, { quantization: { preset: "lsq", weightBits: 8, activationBits: 8, residualBits: 8 } });
  const data = await loadData(config);
  const prepared = await prepareTraining(config, data, engine, await engine.target());
  const { network } = prepared;
  const { output } = await run(network, c, evaluationMode, false);
  const error = firstError(output, expected);
  const close = of("quantizers", error <= 0.3 ? "equal" : "noted", `W8A8 is off by ${error.toExponential(1)}`);
  if (!isQuantized(network)) return [close];
  const converted = await attempt("integers", async () => {
    const integers = convert(network, { input: inputOf(data.test) });
    const batchSize = c.how.batch === "any" ? 14 : c.how.batch;
    const proof = await verify(integers, data.test, engine, { batchSize, interpretedSamples: 4 });
    return proof.agrees
      ? of("integers", "equal")
      : of("integers", "defect", JSON.stringify(proof.programs).slice(0, 300));
  });
  return [close, converted];
}

async function check(c: Case): Promise<readonly Result[]> {
  let network: ImportedNetwork;
  try {
    network = importOnnxFile(c.file);
    inspectNetwork(network, { weightBits: 4, activationBits: 4 });
  } catch (error) {
    return [failed("import", error)];
  }
  const quantized = async (): Promise<readonly Result[]> => {
    try {
      return await checkQuantized(c);
    } catch (error) {
      return [failed("quantizers", error)];
    }
  };
  return [
    of("import", "equal"),
    await attempt("output", () => checkOutput(network, c)),
    await attempt("eval", () => checkEval(c)),
    await attempt("first step", () => checkGradients(network, c)),
    await attempt("train", () => checkRun(network, c)),
    await attempt("BatchNorm back", () => checkRestored(c)),
    ...(await quantized()),
  ];
}

function isHow(value: unknown): value is How {
  return typeof value === "object" && value !== null && "exporter" in value && "batch" in value;
}

function caseOf(folder: string, seed: string): Case {
  const how: unknown = JSON.parse(readFileSync(join(folder, `${seed}.json`), "utf8"));
  if (!isHow(how)) throw new Error(`${seed}.json is not of write.py`);
  const tensors: Tensors = decodeSafetensors(readFileSync(join(folder, `${seed}.safetensors`)), seed).tensors;
  return { seed, folder, file: join(folder, `${seed}.onnx`), how, tensors };
}

async function main(): Promise<void> {
  const [folder, first = "0", last = "1000000"] = process.argv.slice(2);
  if (folder === undefined) throw new Error("which folder did write.py write to?");
  const seeds = readdirSync(folder)
    .flatMap((name) => (name.endsWith(".json") ? [name.slice(0, -".json".length)] : []))
    .filter(
      (seed) =>
        Number(seed) >= Number(first) && Number(seed) <= Number(last) && existsSync(join(folder, `${seed}.onnx`)),
    )
    .sort((a, b) => Number(a) - Number(b));
  const counts = new Map<string, Map<Outcome, number>>();
  for (const seed of seeds) {
    const c = caseOf(folder, seed);
    for (const { kind, outcome, text } of await check(c)) {
      const row = counts.get(kind) ?? new Map<Outcome, number>();
      counts.set(kind, row);
      row.set(outcome, (row.get(outcome) ?? 0) + 1);
      const { exporter, opset, mode, dtype, batch } = c.how;
      if (outcome === "defect" || outcome === "noted" || (outcome === "refused" && process.env.REFUSALS !== undefined))
        process.stdout.write(
          `${seed} (${exporter} ${opset} ${mode} ${dtype} ${batch}) ${kind}: ${outcome}: ${text ?? ""}\n`,
        );
      if (outcome === "defect") process.exitCode = 1;
    }
  }
  const outcomes: readonly Outcome[] = ["equal", "refused", "noted", "not compared", "defect"];
  const rows = [...counts].map(([kind, row]) => [kind, ...outcomes.map((outcome) => row.get(outcome) ?? 0)]);
  process.stdout.write(`${seeds.length} networks\n${formatTable(["", ...outcomes], rows)}\n`);
}

await main();
