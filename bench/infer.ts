/**
 * Integer inference compared with the float network and with ONNX Runtime's own static int8 quantization of it.
 *
 *     npx tsx bench/infer.ts [--model resnet20] [--width 0] [--batches 1,32] [--threads 2] [--rounds 5]
 *                            [--peer python3]
 *
 * 32x32x3 float images, random weights: speed does not depend on them. Every figure comes from a process of its own that
 * loads one ONNX file, and the files take turns (A B C A B C …), so none is favoured by the machine's state; a
 * time is the median over the rounds of each process's median, a ratio the median of the rounds' ratios. Memory is the
 * largest resident set above that of a process that has loaded ONNX Runtime and no model.
 *
 * `float` is the float network as ONNX Runtime optimises it (BatchNormalization folded). `int8 of ONNX Runtime` is
 * onnxruntime.quantization.quantize_static of the same network with BatchNormalization folded: QDQ, uint8 activations, int8
 * weights per channel. It needs a Python with the packages onnxruntime and onnx (--peer names it); without one it is left out.
 */
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { randomStream } from "../src/base/random.ts";
import { buildActivationSample, buildEvaluation, initializeActivations } from "../src/compile/build/evaluation.ts";
import { quantize } from "../src/compile/passes/quantize.ts";
import type { QuantizedNetwork } from "../src/compile/sites.ts";
import { convert } from "../src/convert/convert.ts";
import { buildIntGraph } from "../src/convert/formats/int/int.ts";
import type { Graph } from "../src/ir/graph.ts";
import type { Network } from "../src/ir/network.ts";
import { filled, float32Data } from "../src/ir/tensor.ts";
import { makeModel } from "../src/models/index.ts";
import { writeOnnx } from "../src/onnx/write/write.ts";
import { presetNamed } from "../src/qconfig/presets.ts";
import { ForwardJob } from "../src/runtime/job.ts";
import { nodeEngine } from "../src/runtime/node/node.ts";
import { StateBuffers } from "../src/runtime/state.ts";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string", default: "resnet20" },
    width: { type: "string", default: "0" },
    batches: { type: "string", default: "1,32" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "5" },
    peer: { type: "string", default: "python3" },
    /** Set by this script for the processes that it starts: the file to run, or "none". */
    child: { type: "string" },
    batch: { type: "string", default: "1" },
  },
});
const sampleShape = [3, 32, 32];
const classes = 10;
const input = { dtype: "float32" } as const;
const engine = nodeEngine({ threads: Number(flags.threads) });

/** Folds BatchNormalization as ONNX Runtime does, and quantizes what is left. Arguments: the float file, the result. */
const peerScript = `
import sys, numpy, onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
source, result = sys.argv[1:]
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
options.optimized_model_filepath = source + ".folded"
session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
(data,) = session.get_inputs()
class Reader(CalibrationDataReader):
    def __init__(self):
        random = numpy.random.default_rng(0)
        self.batches = iter([{data.name: random.standard_normal(data.shape).astype(numpy.float32)} for _ in range(4)])
    def get_next(self):
        return next(self.batches, None)
quantize_static(source + ".folded", result, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
print("onnxruntime", ort.__version__)
`;

import { median } from "./median.ts";

interface Measurement {
  readonly milliseconds: number;
  readonly peakMegabytes: number;
}

/** Runs a file in this process. */
async function measureHere(file: string): Promise<Measurement> {
  const memory = () => process.resourceUsage().maxRSS / 1024;
  if (file === "none") {
    await engine.target();
    return { milliseconds: 0, peakMegabytes: memory() };
  }
  const session = await engine.createSession(await readFile(file));
  const batchSize = Number(flags.batch);
  const feeds = { images: filled([batchSize, ...sampleShape], 0.5) };
  const fetches = { logits: filled([batchSize, classes], 0) };
  const times: number[] = [];
  const begin = performance.now();
  while (times.length < 30 || performance.now() - begin < 1200) {
    const start = performance.now();
    await session.run(feeds, fetches);
    times.push(performance.now() - start);
  }
  return { milliseconds: median(times.slice(10)), peakMegabytes: memory() };
}

/** The network with its parameters as constants, as a float ONNX file has them. */
function constants(network: Network, batchSize: number): Graph {
  const { graph } = buildEvaluation(network, { batchSize, input });
  const values = new Map(network.parameters.map((parameter) => [parameter.name, parameter.value]));
  const data = graph.inputs.filter(({ name }) => !values.has(name));
  const fixed = graph.inputs.flatMap((each) => {
    const value = values.get(each.name);
    return value === undefined ? [] : [[each, value] as const];
  });
  return { ...graph, inputs: data, constants: new Map([...graph.constants, ...fixed]) };
}

/** The network with LSQ's quantizers, their ranges from random images. */
async function quantizedWith(float: Network, bits: number, residualBits: number | null): Promise<QuantizedNetwork> {
  const preset = presetNamed("lsq", { weightBits: bits, activationBits: bits });
  const quantized = quantize(float, { ...preset, residualBits });
  const random = randomStream(2, "images");
  const images = filled([8, ...sampleShape], 0);
  float32Data(images).forEach((_, i, data) => {
    data[i] = random.normal();
  });
  const job = await ForwardJob.create(engine, buildActivationSample(quantized, { batchSize: 8, input }));
  const state = new StateBuffers(quantized.parameters.map(({ name, value }) => [name, value] as const));
  const samples = new Map(Object.entries(await job.run(state, images)));
  await job.release();
  return initializeActivations(quantized, samples);
}

interface Candidate {
  readonly name: string;
  readonly file: string;
}

/** Writes the files of one batch size. */
async function filesFor(float: Network, batchSize: number, folder: string): Promise<Candidate[]> {
  const path = (name: string): string => join(folder, `${name}-${batchSize}.onnx`);
  const candidates: Candidate[] = [{ name: "float", file: path("float") }];
  await writeFile(path("float"), writeOnnx(constants(float, batchSize)));
  const peer = { name: "int8 of ONNX Runtime", file: path("peer") };
  const made = await promisify(execFile)(flags.peer, ["-c", peerScript, path("float"), peer.file]).catch(
    (error: Error) => {
      console.log(`no peer: ${error.message.trim().split("\n").at(-1)}`);
      return undefined;
    },
  );
  if (made !== undefined) candidates.push({ ...peer, name: `${peer.name} (${made.stdout.trim()})` });
  for (const [bits, residualBits] of [
    [8, 8],
    [4, 8],
    [4, 4],
    [4, null],
  ] as const) {
    const name = `W${bits}A${bits}, residualBits ${residualBits ?? "float"}`;
    const network = convert(await quantizedWith(float, bits, residualBits), { input });
    const file = path(`w${bits}-r${residualBits}`);
    await writeFile(file, writeOnnx(buildIntGraph(network, { batchSize })));
    candidates.push({ name, file });
  }
  return candidates;
}

/** Every candidate in its turn, round by round. */
async function compare(): Promise<void> {
  const { model, width, threads, rounds } = flags;
  const options = { sampleShape, classes, ...(width === "0" ? {} : { width: Number(width) }) };
  const float = makeModel(model, options, randomStream(1, "weights"));
  const folder = await mkdtemp(join(tmpdir(), "subbyte-infer-"));
  try {
    const bare = await measureChild("none", 1);
    for (const batchSize of flags.batches.split(",").map(Number)) {
      const candidates = await filesFor(float, batchSize, folder);
      const runs: Measurement[][] = candidates.map(() => []);
      for (let round = 0; round < Number(rounds); round++) {
        for (const [i, { file }] of candidates.entries()) runs[i]?.push(await measureChild(file, batchSize));
      }
      console.log(`${model}, 32x32x3, batch ${batchSize}, ${threads} threads, ${rounds} rounds`);
      for (const [i, { name, file }] of candidates.entries()) {
        const own = runs[i] ?? [];
        const time = median(own.map(({ milliseconds }) => milliseconds)).toFixed(3);
        const ratios = own.map(({ milliseconds }, round) => (runs[0]?.[round]?.milliseconds ?? 0) / milliseconds);
        const memory = Math.max(...own.map(({ peakMegabytes }) => peakMegabytes)) - bare.peakMegabytes;
        const bytes = (await stat(file)).size / 1024;
        const columns = [
          name.padEnd(44),
          `${time} ms`.padStart(11),
          `${median(ratios).toFixed(2)} times as fast as float`,
          `file ${bytes.toFixed(0)} kB`,
          `memory ${memory.toFixed(0)} MB`,
        ];
        console.log(`  ${columns.join("  ")}`);
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

function measureChild(file: string, batchSize: number): Promise<Measurement> {
  const [, script = ""] = process.argv;
  const own = ["--child", file, "--batch", String(batchSize), "--threads", flags.threads];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, script, ...own], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0) reject(new Error(`the process for ${file} ended with code ${code}`));
      else resolve(JSON.parse(text.trim().split("\n").at(-1) ?? ""));
    });
  });
}

if (flags.child === undefined) await compare();
else console.log(JSON.stringify(await measureHere(flags.child)));
