/**
 * The whole training step, with data going in and the loss coming out, in turn with that of PyTorch.
 *
 *     npx tsx bench/train-step.ts [--peer "python3 FOLDER/torch_step.py"] [--rounds 7] [--modes float,minmax,lsq]
 *                                 [--model resnet20|resnet18|mobilenetv2] [--batch N] [--steps 10] [--threads 2]
 *                                 [--recompute never|always] [--clip]
 *
 * Each measurement is a process of its own (A B A B …), so that the two never share a cache, a heap or a thread pool; its
 * figure is the median of its steps, and the table shows the medians over the rounds with the ratio of each round. Peak
 * memory is the largest resident set of the process. The peer is called as `PYTHON SCRIPT float|qat BATCH MORE` and prints a
 * line with `median s/step 0.123`; MORE is what else --peer says, by default nothing for resnet20 and `MODEL STEPS` for
 * others. For resnet20 (batch 128) it is ../shared/peers/torch_step.py, for resnet18 (batch 32) and mobilenetv2 (batch 64)
 * bench/peers/torch_step_models.py; `qat` is torch.ao's FakeQuantize with EMA min-max observers, W4A4, as subbyte's preset
 * minmax. With `--peer none` subbyte is measured alone; any preset is a mode.
 * `--clip` measures each mode with clipped gradients too.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { randomStream } from "../src/base/random.ts";
import { trainingMode } from "../src/compile/build/forward.ts";
import { buildTrainingStep, learningRateInput, parameterGroups } from "../src/compile/build/training-step.ts";
import { quantize } from "../src/compile/passes/quantize.ts";
import { makeTensor } from "../src/ir/tensor.ts";
import { makeModel } from "../src/models/index.ts";
import { presetNamed } from "../src/qconfig/presets.ts";
import { TrainingJob } from "../src/runtime/job.ts";
import { nodeEngine } from "../src/runtime/node/node.ts";
import { StateBuffers } from "../src/runtime/state.ts";
import { median } from "./median.ts";

const { values: flags } = parseArgs({
  options: {
    peer: { type: "string" },
    rounds: { type: "string", default: "7" },
    modes: { type: "string", default: "float,minmax,lsq" },
    model: { type: "string", default: "resnet20" },
    batch: { type: "string" },
    steps: { type: "string", default: "10" },
    threads: { type: "string", default: "2" },
    recompute: { type: "string", default: "never" },
    clip: { type: "boolean", default: false },
    /** Set by this script for the processes that it starts. */
    child: { type: "string" },
  },
});
/** The batch sizes that are compared, for each network that has a peer. */
const usualBatch: Readonly<Record<string, number>> = { resnet20: 128, resnet18: 32, mobilenetv2: 64 };
const batchSize = Number(flags.batch ?? usualBatch[flags.model] ?? 128);
const sampleShape = [3, 32, 32];
const classes = 10;

interface Measurement {
  readonly seconds: number;
  readonly peakMegabytes: number;
}

/** What a mode with clipped gradients is called. */
const clippedSuffix = ", clipped";

/** Steps of subbyte in this process. */
async function measureHere(name: string): Promise<Measurement> {
  const isClipped = name.endsWith(clippedSuffix);
  const mode = isClipped ? name.slice(0, -clippedSuffix.length) : name;
  const float = makeModel(flags.model, { sampleShape, classes }, randomStream(0, "initial weights"));
  const network = mode === "float" ? float : quantize(float, presetNamed(mode, { weightBits: 4, activationBits: 4 }));
  const step = buildTrainingStep(network, {
    batchSize,
    input: { dtype: "uint8", mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25] },
    loss: { name: "crossEntropy", labelSmoothing: 0 },
    optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
    weightDecay: { weights: 1e-4, normalization: 1e-4, quantizers: 0 },
    mode: trainingMode,
    ...(isClipped ? { gradientClip: 1 } : {}),
  });
  const job = await TrainingJob.create(nodeEngine({ threads: Number(flags.threads) }), step, undefined, {
    recompute: flags.recompute === "always" ? "always" : "never",
  });
  const state = new StateBuffers([]);
  job.prepare(state);
  const rates = Object.fromEntries(parameterGroups.map((group) => [learningRateInput(group), 0.01]));
  const pool = poolOfBatches(8);
  const images = new Uint8Array(batchSize * 3 * 32 * 32);
  const labels = new Int32Array(batchSize);
  const batch = {
    data: makeTensor("uint8", [batchSize, ...sampleShape], images),
    targets: makeTensor("int32", [batchSize], labels),
  };
  const warmUp = 3;
  const times: number[] = [];
  for (let i = 0; i < warmUp + Number(flags.steps); i++) {
    const start = performance.now();
    const fresh = pool[i % pool.length];
    if (fresh !== undefined) {
      images.set(fresh.images);
      labels.set(fresh.labels);
    }
    const { loss } = await job.run(state, batch, rates);
    if (!Number.isFinite(loss)) throw new Error(`the loss is ${loss} in step ${i}`);
    if (i >= warmUp) times.push((performance.now() - start) / 1000);
  }
  return { seconds: median(times), peakMegabytes: process.resourceUsage().maxRSS / 1024 };
}

function poolOfBatches(count: number) {
  const random = randomStream(1, "batches");
  return Array.from({ length: count }, () => ({
    images: Uint8Array.from({ length: batchSize * 3 * 32 * 32 }, () => random.integerBelow(256)),
    labels: Int32Array.from({ length: batchSize }, () => random.integerBelow(classes)),
  }));
}

/** Subbyte and the peer in turn, all modes in each round. */
async function compare(): Promise<void> {
  const modes = flags.modes.split(",").flatMap((mode) => (flags.clip ? [mode, `${mode}${clippedSuffix}`] : [mode]));
  const peer = await findPeer();
  console.log(
    `${flags.model}, 32x32x3, batch ${batchSize}, W4A4, SGD with momentum, ${flags.threads} threads, ${flags.rounds} rounds`,
  );
  const ours = new Map<string, Measurement[]>(modes.map((mode) => [mode, []]));
  const theirs = new Map<string, Measurement[]>(modes.map((mode) => [mode, []]));
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const mode of modes) {
      ours.get(mode)?.push(await measureChild(mode));
      if (peer !== undefined && !mode.endsWith(clippedSuffix))
        theirs.get(mode)?.push(await measurePeer(peer, mode === "float" ? "float" : "qat"));
    }
  }
  for (const mode of modes) {
    const own = ours.get(mode) ?? [];
    const other = theirs.get(mode) ?? [];
    console.log(describe(`subbyte ${mode}`, own));
    if (mode.endsWith(clippedSuffix)) {
      printRatio("over not clipped", own, ours.get(mode.slice(0, -clippedSuffix.length)) ?? []);
      continue;
    }
    if (mode !== "float") printRatio("over float", own, ours.get("float") ?? []);
    if (other.length === 0) continue;
    console.log(describe(`peer ${mode === "float" ? "float" : "qat"}`, other));
    printRatio("ratio", other, own);
  }
}

/** The median of a/b over the rounds. */
function printRatio(name: string, a: readonly Measurement[], b: readonly Measurement[]): void {
  if (b.length === 0) return;
  const ratios = a.map(({ seconds }, i) => seconds / (b[i]?.seconds ?? Number.NaN));
  const each = ratios.map((ratio) => ratio.toFixed(3)).join(" ");
  console.log(`  ${name} ${median(ratios).toFixed(3)} (each round: ${each})`);
}

function describe(name: string, runs: readonly Measurement[]): string {
  const seconds = median(runs.map((run) => run.seconds));
  const fastest = Math.min(...runs.map((run) => run.seconds));
  const memory = Math.max(...runs.map((run) => run.peakMegabytes));
  const rate = (batchSize / seconds).toFixed(0).padStart(6);
  const time = `${(1000 * seconds).toFixed(1)} ms a step (fastest ${(1000 * fastest).toFixed(1)})`;
  return `  ${name.padEnd(16)} ${rate} images/s  ${time}  peak ${memory.toFixed(0)} MB`;
}

async function measureChild(mode: string): Promise<Measurement> {
  const own = Object.entries(flags).flatMap(([name, value]) =>
    name === "peer" || name === "child" || typeof value !== "string" ? [] : [`--${name}`, value],
  );
  const [, script = ""] = process.argv;
  const text = await output(process.execPath, [...process.execArgv, script, ...own, "--child", mode]);
  const measurement: Measurement = JSON.parse(text.trim().split("\n").at(-1) ?? "");
  return measurement;
}

/** Runs its arguments in a child and prints the child's peak resident memory in kilobytes after what it prints. */
const peakWrapper =
  "import resource,subprocess,sys; code=subprocess.call([sys.executable]+sys.argv[1:]); print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)";

interface Peer {
  readonly python: string;
  readonly script: string;
  /** Arguments after the mode and the batch. */
  readonly more: readonly string[];
}

async function measurePeer({ python, script, more }: Peer, mode: string): Promise<Measurement> {
  const text = await output(python, ["-c", peakWrapper, script, mode, String(batchSize), ...more]);
  const seconds = /median s\/step ([\d.]+)/.exec(text)?.[1];
  const peak = /peak (\d+)/.exec(text)?.[1];
  if (seconds === undefined || peak === undefined) throw new Error(`the peer printed no time: ${text}`);
  return { seconds: Number(seconds), peakMegabytes: Number(peak) / 1024 };
}

/** The peer to measure against; undefined, with a message, where there is none. */
async function findPeer(): Promise<Peer | undefined> {
  if (flags.peer === "none") return undefined;
  if (flags.peer === undefined && usualBatch[flags.model] === undefined) {
    console.log(`no peer for ${flags.model}; name one with --peer`);
    return undefined;
  }
  const own = flags.model === "resnet20" ? "../../shared/peers/torch_step.py" : "peers/torch_step_models.py";
  const standard = new URL(own, import.meta.url).pathname;
  const [first = "python3", script = standard, ...given] = flags.peer?.split(/ +/) ?? [];
  if (!existsSync(script)) {
    console.log(`no peer: there is no ${script}; name one with --peer "python3 FOLDER/torch_step.py"`);
    return undefined;
  }
  const usual = flags.model === "resnet20" ? [] : [flags.model, flags.steps];
  const more = given.length > 0 ? given : usual;
  for (const python of [first, "/usr/bin/python3"]) {
    const found = await output(python, ["-c", "import torch"]).then(
      () => true,
      () => false,
    );
    if (found) return { python, script, more };
  }
  console.log(`no peer: neither ${first} nor /usr/bin/python3 can import torch (Debian: apt install python3-torch)`);
  return undefined;
}

/** What a program prints. @throws Error with its messages when it fails. */
function output(program: string, programArguments: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, programArguments, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    let messages = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      messages += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${program} ended with code ${code}: ${messages.slice(-1000)}`));
    });
  });
}

if (flags.child === undefined) await compare();
else console.log(JSON.stringify(await measureHere(flags.child)));
