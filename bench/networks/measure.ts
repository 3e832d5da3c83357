/**
 * Measures one network in a process of its own: `measure.ts FOLDER NAME OPTIONS`, the options as JSON. Each stage prints one line
 * of JSON, so that what was reached before an error or a limit is kept. bench/networks.ts starts it.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { bindBatch } from "../../src/compile/passes/bind-batch.ts";
import { withoutQuantizers } from "../../src/compile/passes/without-quantizers.ts";
import { isQuantized, type QuantizedNetwork } from "../../src/compile/sites.ts";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import type { TrainingConfig } from "../../src/config/schema/schema.ts";
import { convert } from "../../src/convert/convert.ts";
import { intFormat } from "../../src/convert/formats/int/int.ts";
import type { IntegerNetwork } from "../../src/convert/integer-network.ts";
import { integerObstacles } from "../../src/convert/obstacles.ts";
import { evaluateIntFile, timeFloatFile, timeIntFile } from "../../src/convert/prove/evaluate-file.ts";
import { showMismatch, verify } from "../../src/convert/prove/verify.ts";
import { floatElements, storedSize } from "../../src/convert/size.ts";
import { eachBatch } from "../../src/data/dataset/batches.ts";
import { type Dataset, type DatasetSplits, firstSamples } from "../../src/data/dataset/dataset.ts";
import { SubbyteError, UnsupportedError } from "../../src/errors.ts";
import { dataInputs, type Network } from "../../src/ir/network.ts";
import { groupText, refusedGroups } from "../../src/ir/refused-nodes.ts";
import { allocate, makeTensor } from "../../src/ir/tensor.ts";
import { elementCount } from "../../src/ir/types.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { checkGradients } from "../../src/train/fit/untrained-parts.ts";
import { evaluate, inputOf } from "../../src/train/loop/evaluate.ts";
import { train } from "../../src/train/loop/trainer.ts";
import { loadData, makeNetwork, prepareTraining } from "../../src/train/setup.ts";
import { median } from "../median.ts";
import { compareC } from "./c-codes.ts";
import { type Description, descriptionSchema, type Part } from "./row.ts";

export const optionsSchema = z.object({
  steps: z.number(),
  batch: z.number(),
  bits: z.number(),
  /** Learning rate of Adam. */
  rate: z.number().default(0.001),
  verified: z.number(),
  interpreted: z.number(),
  /** The most parameters of a network whose C program is compiled. */
  c: z.number(),
  /** A Python with onnxruntime; empty: its int8 is not measured. */
  python: z.string(),
});
/** How a network is measured. */
export type MeasureOptions = z.infer<typeof optionsSchema>;

const engine = nodeEngine({ threads: 1 });
/** Samples that ranges come from, also those of ONNX Runtime's own quantization. */
const calibrationSamples = 32;

function report(part: Part): void {
  process.stdout.write(`${JSON.stringify(part)}\n`);
}

function configOf(folder: string, { name, task }: Description, options: MeasureOptions, stepsPerEpoch: number) {
  const tasks: Readonly<Partial<Record<Description["task"], string>>> = {
    input: "autoencoder",
    pixels: "segmentation",
    columns: "tokenClassification",
    values: "regression",
  };
  return resolveTrainingConfig({
    name,
    text: JSON.stringify({
      model: { file: join(folder, `${name}.onnx`) },
      data: {
        folder: join(folder, `${name}.npz`),
        ...(tasks[task] === undefined ? {} : { task: tasks[task] }),
        // The statistics of the samples are in the network.
        normalization: "none",
      },
      train: {
        epochs: Math.max(1, Math.round(options.steps / stepsPerEpoch)),
        batchSize: options.batch,
        optimizer: { name: "adam", learningRate: options.rate, gradientClip: 1 },
        schedule: { warmupEpochs: 0 },
      },
      quantization: { preset: "lsq", weightBits: options.bits, activationBits: options.bits, residualBits: 8 },
      threads: 1,
    }),
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function trained(config: TrainingConfig, data: DatasetSplits, batch: number): Promise<QuantizedNetwork> {
  const target = await engine.target();
  const losses: number[] = [];
  const start = performance.now();
  const prepared = await prepareTraining(config, data, engine, target);
  const onStep = ({ loss }: { readonly loss: number }) => losses.push(loss);
  const { network } = await train({ ...prepared, data, engine, target, onStep });
  const quarter = Math.max(1, losses.length >> 2);
  const [first, last] = [mean(losses.slice(0, quarter)), mean(losses.slice(-quarter))];
  report({
    training: { steps: losses.length, batch, first, last, seconds: (performance.now() - start) / 1000 },
  });
  if (!isQuantized(network)) throw new UnsupportedError("nothing of it is quantized");
  return network;
}

function integersOf(source: QuantizedNetwork, data: Dataset): IntegerNetwork | undefined {
  const options = { input: inputOf(data) };
  try {
    const network = convert(source, options);
    report({
      converted: [],
      ...(network.tail === undefined ? {} : { tail: network.tail.refused.map(({ op }) => op) }),
    });
    return network;
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    const groups = refusedGroups(integerObstacles(source, options));
    report({ converted: groups.length === 0 ? [error.describe()] : groups.map((group) => groupText(group, 3)) });
    return undefined;
  }
}

async function compareCodes(network: IntegerNetwork, test: Dataset, options: MeasureOptions): Promise<void> {
  const data = firstSamples(test, Math.min(options.verified, test.count));
  const batchSize = Math.min(8, data.count);
  const runner = await intFormat.runner?.(network, { batchSize, arithmetic: "float", packed: true }, engine);
  try {
    const { programs } = await verify(network, data, engine, {
      batchSize,
      interpretedSamples: options.interpreted,
      runners: runner === undefined ? [] : [runner],
    });
    report({
      programs: programs.map(({ program, samples, compared, mismatches, first }) => ({
        program,
        samples,
        compared,
        mismatches,
        ...(first === undefined ? {} : { first: showMismatch(first) }),
      })),
    });
  } finally {
    await runner?.release();
  }
}

async function compareProgram(network: IntegerNetwork, test: Dataset): Promise<void> {
  for await (const { samples } of eachBatch(test, 2)) {
    if (samples instanceof Float32Array || samples instanceof Int32Array) report({ c: compareC(network, samples, 2) });
    else report({ c: "its samples are bytes" });
    return;
  }
}

/** Milliseconds of ONNX Runtime's own int8 file of the same network, on zeros as the others. */
async function int8Time(folder: string, name: string, source: Network, python: string): Promise<void> {
  const made = await mkdtemp(join(tmpdir(), "subbyte-int8-"));
  const out = join(made, "int8.onnx");
  const script = new URL("static_int8.py", import.meta.url).pathname;
  const [model, data] = [join(folder, `${name}.onnx`), join(folder, `${name}.npz`)];
  try {
    await promisify(execFile)(python, [script, model, data, String(calibrationSamples), out], { maxBuffer: 1 << 26 });
    const session = await engine.createSession(await readFile(out));
    const { inputs, outputs } = bindBatch(source, 1).graph;
    const given = new Set(dataInputs(source).map((input) => input.name));
    const zeros = (each: (typeof inputs)[number]["type"]) =>
      makeTensor(each.dtype, each.shape, allocate(each.dtype, elementCount(each.shape)));
    const feeds = Object.fromEntries(
      inputs.filter((input) => given.has(input.name)).map(({ name: input, type }) => [input, zeros(type)]),
    );
    const results = Object.fromEntries(outputs.map(({ name: output, value }) => [output, zeros(value.type)]));
    const times: number[] = [];
    for (let i = 0; i < 12; i++) {
      const start = performance.now();
      await session.run(feeds, results);
      times.push(performance.now() - start);
    }
    await session.release();
    report({ milliseconds: { int8: median(times.slice(2)) } });
  } catch (error) {
    report({ int8Refused: lastLine(error) });
  } finally {
    await rm(made, { recursive: true });
  }
}

function lastLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split("\n").at(-1)?.slice(0, 300) ?? message;
}

async function measure(folder: string, description: Description, options: MeasureOptions): Promise<void> {
  const { name, parameters } = description;
  const whole = await loadData(configOf(folder, description, options, 1));
  const stepsPerEpoch = Math.min(options.steps, Math.max(1, Math.floor(whole.train.count / options.batch)));
  const data = { ...whole, train: firstSamples(whole.train, stepsPerEpoch * options.batch) };
  const config = configOf(folder, description, options, stepsPerEpoch);
  const file = makeNetwork(config, data);
  checkGradients(config, data);
  report({ imported: [], bits: options.bits, rate: options.rate });
  const before = await evaluate(file, data.test, engine);
  report({ metric: before.metric, scores: { file: before.accuracy } });
  const source = await trained(config, data, options.batch);
  const float = withoutQuantizers(source);
  report({
    scores: {
      float: (await evaluate(float, data.test, engine)).accuracy,
      simulation: (await evaluate(source, data.test, engine)).accuracy,
    },
    milliseconds: { float: await timeFloatFile(float, engine, 1) },
  });
  if (options.python !== "") await int8Time(folder, name, file, options.python);
  const network = integersOf(source, data.test);
  if (network === undefined) return;
  const size = storedSize(network, floatElements(source));
  report({ stored: { float: size.floatBytes, packed: size.packedBytes } });
  await compareCodes(network, data.test, options);
  const reached = await evaluateIntFile(network, data.test, engine, { batchSize: 8, packed: true });
  report({ scores: { integers: reached.accuracy } });
  report({ milliseconds: { int: await timeIntFile(network, engine, { batchSize: 1, packed: true }) } });
  if (parameters <= options.c) await compareProgram(network, data.test);
  else report({ c: "not compiled: too large" });
}

async function main(): Promise<void> {
  const [folder = "", name = "", text = ""] = process.argv.slice(2);
  const description = descriptionSchema.parse(JSON.parse(await readFile(join(folder, `${name}.json`), "utf8")));
  try {
    await measure(folder, description, optionsSchema.parse(JSON.parse(text)));
  } catch (error) {
    // Errors of ours say all; of others the stack tells where the defect is.
    const said = error instanceof SubbyteError ? `${error.code}: ${error.describe()}` : undefined;
    const stack = error instanceof Error ? error.stack?.split("\n").slice(0, 3).join(" ") : undefined;
    report({ ended: said ?? stack ?? String(error) });
  }
}

if (process.argv[2] !== undefined && process.argv[1]?.endsWith("measure.ts") === true) await main();
