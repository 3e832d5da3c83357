/**
 * A training step of subbyte compared with the trainers of the JavaScript ecosystem, on the CPU and in float: the same network,
 * initial weights and batches in each.
 *
 *     npm install --prefix FOLDER @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0 @jax-js/jax@0.1.25
 *     npx tsx bench/ecosystem.ts --peers FOLDER [--rounds 3] [--trainers subbyte,tfjs-cpu,tfjs-wasm,jax-js-wasm]
 *
 * Three convolutions of 3x3 (16, 32, 64 channels; bias, ReLU, 2x2 maximum each) and a classifier on 32x32x3, batch 32,
 * cross-entropy, plain SGD. A step goes from a batch in JavaScript's memory to its loss there. Each measurement is a
 * process of its own, the trainers take turns (A B C A B C …); a figure is the median over the rounds of the processes'
 * medians, the first steps left out. That all compute the same is checked by their losses, step by step: they must agree to
 * a thousandth. A trainer that cannot train is named with its own error.
 *
 * None of them has a thread pool in Node.js, so subbyte is measured with one thread and with the default of two. The
 * processor's time tells more than the clock's where the machine is not quiet.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { z } from "zod";
import { randomStream } from "../src/base/random.ts";
import { trainingMode } from "../src/compile/build/forward.ts";
import { buildTrainingStep, learningRateInput, parameterGroups } from "../src/compile/build/training-step.ts";
import type { Network } from "../src/ir/network.ts";
import { float32Data, makeTensor } from "../src/ir/tensor.ts";
import { NetworkBuilder } from "../src/models/network-builder.ts";
import { maxPool } from "../src/ops/families/pool.ts";
import { flatten } from "../src/ops/families/shape/shape-ops.ts";
import { TrainingJob } from "../src/runtime/job.ts";
import { nodeEngine } from "../src/runtime/node/node.ts";
import { StateBuffers } from "../src/runtime/state.ts";
import { median } from "./median.ts";

const { values: flags } = parseArgs({
  options: {
    peers: { type: "string" },
    rounds: { type: "string", default: "3" },
    trainers: { type: "string", default: "subbyte,subbyte-1-thread,tfjs-cpu,tfjs-wasm,jax-js-wasm" },
    /** Set by this script for the processes that it starts: the threads, and the job's file. */
    threads: { type: "string" },
    job: { type: "string" },
  },
});

const batchSize = 32;
const sampleShape = [3, 32, 32];
const classes = 10;
const learningRate = 0.05;
const distinctBatches = 4;
/** Steps that are not timed: engines compile, and lay weights out, in the first ones. */
const warmUp = 2;
/** Losses of trainers with other orders of summation may differ by this, in relation. */
const tolerance = 1e-3;

/** How a trainer is called, and how many steps it takes: as many as take a few seconds. */
interface Trainer {
  readonly name: string;
  readonly steps: number;
  readonly command: (job: string) => readonly string[];
}

const self = [...process.execArgv, process.argv[1] ?? ""];
const peer = (program: string, backend: string) => (job: string) => [
  new URL(`peers/${program}`, import.meta.url).pathname,
  flags.peers ?? "",
  backend,
  job,
];
const trainers: readonly Trainer[] = [
  { name: "subbyte", steps: 102, command: (job) => [...self, "--threads", "2", "--job", job] },
  { name: "subbyte-1-thread", steps: 102, command: (job) => [...self, "--threads", "1", "--job", job] },
  { name: "tfjs-cpu", steps: warmUp + 1, command: peer("tfjs-step.mjs", "cpu") },
  { name: "tfjs-wasm", steps: warmUp + 10, command: peer("tfjs-step.mjs", "wasm") },
  { name: "jax-js-wasm", steps: warmUp + 10, command: peer("jax-js-step.mjs", "wasm") },
];

const resultSchema = z.object({
  seconds: z.array(z.number()),
  processor: z.array(z.number()),
  losses: z.array(z.number()),
});
type Result = z.infer<typeof resultSchema>;

function network(): Network {
  const network = new NetworkBuilder("small convolution net", randomStream(0, "initial weights"));
  const { builder } = network;
  let x = network.input("images", sampleShape);
  for (const [i, channels] of [16, 32, 64].entries()) {
    const convolved = network.conv(`conv${i + 1}`, x, channels, { kernel: 3, padding: 1, bias: true });
    x = maxPool(builder, network.relu(`relu${i + 1}`, convolved), { kernel: [2, 2], strides: [2, 2] });
  }
  return network.finish(network.linear("fc", flatten(builder, x), classes));
}

function batches(): { readonly images: Float32Array; readonly labels: Int32Array }[] {
  const random = randomStream(1, "batches");
  const count = batchSize * 3 * 32 * 32;
  return Array.from({ length: distinctBatches }, () => ({
    images: Float32Array.from({ length: count }, () => random.integerBelow(256) / 64 - 2),
    labels: Int32Array.from({ length: batchSize }, () => random.integerBelow(classes)),
  }));
}

const base64 = ({ buffer, byteOffset, byteLength }: Float32Array | Int32Array) =>
  Buffer.from(buffer, byteOffset, byteLength).toString("base64");

/** What a peer needs to know, as JSON. */
function jobFor(steps: number): string {
  return JSON.stringify({
    batchSize,
    sampleShape,
    classes,
    learningRate,
    steps,
    parameters: Object.fromEntries(
      network().parameters.map(({ name, value }) => [name, { shape: value.shape, data: base64(float32Data(value)) }]),
    ),
    batches: batches().map(({ images, labels }) => ({ images: base64(images), labels: base64(labels) })),
  });
}

/** Steps of subbyte in this process. */
async function measureHere(threads: number, steps: number): Promise<Result> {
  const step = buildTrainingStep(network(), {
    batchSize,
    input: { dtype: "float32" },
    loss: { name: "crossEntropy", labelSmoothing: 0 },
    optimizer: { name: "sgd", momentum: 0, nesterov: false },
    weightDecay: { weights: 0, normalization: 0, quantizers: 0 },
    mode: trainingMode,
  });
  const job = await TrainingJob.create(nodeEngine({ threads }), step);
  const state = new StateBuffers([]);
  job.prepare(state);
  const rates = Object.fromEntries(parameterGroups.map((group) => [learningRateInput(group), learningRate]));
  const pool = batches().map(({ images, labels }) => ({
    data: makeTensor("float32", [batchSize, ...sampleShape], images),
    targets: makeTensor("int32", [batchSize], labels),
  }));
  const seconds: number[] = [];
  const processor: number[] = [];
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const batch = pool[i % pool.length];
    if (batch === undefined) continue;
    const start = performance.now();
    const before = process.cpuUsage();
    const { loss } = await job.run(state, batch, rates);
    const { user, system } = process.cpuUsage(before);
    seconds.push((performance.now() - start) / 1000);
    processor.push((user + system) / 1e6);
    losses.push(loss);
  }
  return { seconds, processor, losses };
}

async function compare(): Promise<void> {
  const names = flags.trainers.split(",");
  const chosen = trainers.filter(({ name }) => names.includes(name) && (flags.peers !== undefined || isOwn(name)));
  if (flags.peers === undefined)
    console.log("without --peers FOLDER subbyte is measured alone; the header says how to make one");
  const folder = await mkdtemp(join(tmpdir(), "subbyte-ecosystem-"));
  const results = new Map<string, Result[]>(chosen.map(({ name }) => [name, []]));
  const failures = new Map<string, string>();
  try {
    for (let round = 0; round < Number(flags.rounds); round++) {
      for (const { name, steps, command } of chosen) {
        if (failures.has(name)) continue;
        const file = join(folder, `${steps}.json`);
        await writeFile(file, jobFor(steps));
        const result = await measure(command(file));
        if (typeof result === "string") failures.set(name, result);
        else results.get(name)?.push(result);
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  print(results, failures);
}

const isOwn = (name: string) => name.startsWith("subbyte");

/** The result of a process, or why it failed. */
async function measure(command: readonly string[]): Promise<Result | string> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, command, { maxBuffer: 1 << 26 });
    return resultSchema.parse(JSON.parse(stdout.trim().split("\n").at(-1) ?? ""));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return /^\w*Error: .*$/m.exec(message.replace(/^Error: Command failed.*\n/, ""))?.[0] ?? message;
  }
}

function print(results: ReadonlyMap<string, readonly Result[]>, failures: ReadonlyMap<string, string>): void {
  const reference = results.get("subbyte")?.map(({ seconds }) => milliseconds(seconds)) ?? [];
  const expected = results.get("subbyte")?.[0]?.losses ?? [];
  console.log(`3 convolutions and a classifier, 32x32x3, batch ${batchSize}, float, plain SGD, ${flags.rounds} rounds`);
  for (const [name, runs] of results) {
    const failure = failures.get(name);
    if (failure !== undefined) {
      console.log(`  ${name.padEnd(17)} cannot train: ${failure}`);
      continue;
    }
    const times = runs.map(({ seconds }) => milliseconds(seconds));
    const processor = median(runs.map((run) => milliseconds(run.processor)));
    const ratios = times.map((time, i) => time / (reference[i] ?? Number.NaN));
    const apart = Math.max(...runs.flatMap(({ losses }) => losses.map((loss, i) => departure(loss, expected[i]))));
    console.log(
      `  ${name.padEnd(17)} ${median(times).toFixed(2).padStart(9)} ms a step (${processor.toFixed(2)} of the processor), ${median(ratios).toFixed(2)} times subbyte's ` +
        `(each round: ${ratios.map((ratio) => ratio.toFixed(2)).join(" ")}); losses within ${apart.toExponential(1)}`,
    );
    if (!(apart <= tolerance)) throw new Error(`${name} does not compute the same: its losses are ${runs[0]?.losses}`);
  }
}

function departure(loss: number, expected: number | undefined): number {
  return expected === undefined ? 0 : Math.abs(loss - expected) / Math.abs(expected);
}

function milliseconds(seconds: readonly number[]): number {
  return 1000 * median(seconds.slice(warmUp));
}

if (flags.job === undefined) await compare();
else {
  const { steps } = z.object({ steps: z.number() }).parse(JSON.parse(await readFile(flags.job, "utf8")));
  console.log(JSON.stringify(await measureHere(Number(flags.threads), steps)));
}
