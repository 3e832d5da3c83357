/**
 * Integer inference against the float network: node --import tsx bench/infer.ts [model] [width]
 *
 * The same network on the same cores, batch 1 and 32 of 32x32 images: the float ONNX, and the converted integers (W4A4, LSQ,
 * residual branches at 8 bits). Random weights: speed does not depend on them.
 */

import { buildActivationSample, buildEvaluation, initializeActivations } from "../src/compile/evaluation.ts";
import { quantize } from "../src/compile/quantize.ts";
import { convert } from "../src/convert/convert.ts";
import { buildIntGraph } from "../src/convert/formats/int.ts";
import { randomStream } from "../src/data/random.ts";
import type { Graph } from "../src/graph/graph.ts";
import type { Network } from "../src/graph/network.ts";
import { writeOnnx } from "../src/graph/onnx-write.ts";
import { allocate, filled, float32Data, makeTensor } from "../src/graph/tensor.ts";
import { elementCount } from "../src/graph/types.ts";
import { makeModel } from "../src/models/index.ts";
import { presetNamed } from "../src/qconfig/presets.ts";
import { ForwardJob } from "../src/runtime/job.ts";
import { nodeEngine } from "../src/runtime/node.ts";
import { StateBuffers } from "../src/runtime/state.ts";

const [name = "resnet20", width = "0"] = process.argv.slice(2);
const engine = nodeEngine();
const sampleShape = [3, 32, 32];

/** The network with its parameters as constants, as a float ONNX file has them. */
function constants(network: Network, batchSize: number): Graph {
  const { graph } = buildEvaluation(network, { batchSize, input: { dtype: "float32" } });
  const values = new Map(network.parameters.map((parameter) => [parameter.name, parameter.value]));
  const data = graph.inputs.filter((input) => !values.has(input.name));
  const fixed = graph.inputs.flatMap((input) => {
    const value = values.get(input.name);
    return value === undefined ? [] : [[input, value] as const];
  });
  return { ...graph, inputs: data, constants: new Map([...graph.constants, ...fixed]) };
}

async function milliseconds(graph: Graph): Promise<number> {
  const session = await engine.createSession(writeOnnx(graph));
  const make = ({ dtype, shape }: { dtype: "float32" | "uint8"; shape: readonly number[] }) =>
    makeTensor(dtype, shape, allocate(dtype, elementCount(shape)));
  const feeds = Object.fromEntries(
    graph.inputs.map((input) => [input.name, make({ dtype: "float32", shape: input.type.shape })]),
  );
  const fetches = Object.fromEntries(
    graph.outputs.map((output) => [output.name, make({ dtype: "float32", shape: output.value.type.shape })]),
  );
  for (let i = 0; i < 5; i++) await session.run(feeds, fetches);
  const times: number[] = [];
  for (let i = 0; i < 30; i++) {
    const start = performance.now();
    await session.run(feeds, fetches);
    times.push(performance.now() - start);
  }
  await session.release();
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 4)] ?? Number.NaN;
}

const options = { sampleShape, classes: 10, ...(width === "0" ? {} : { width: Number(width) }) };
const float = makeModel(name, options, randomStream(1, "weights"));
const config = { ...presetNamed("lsq", { weightBits: 4, activationBits: 4 }), residualBits: 8 };
const quantized = quantize(float, config);
const random = randomStream(2, "images");
const images = filled([8, ...sampleShape], 0);
float32Data(images).forEach((_, i, data) => {
  data[i] = random.normal();
});
const sample = buildActivationSample(quantized, { batchSize: 8, input: { dtype: "float32" } });
const job = await ForwardJob.create(engine, sample);
const state = new StateBuffers(quantized.parameters.map(({ name, value }) => [name, value] as const));
const ready = initializeActivations(quantized, new Map(Object.entries(await job.run(state, images))));
const network = convert(ready, { input: { dtype: "float32" } });
for (const batchSize of [1, 32]) {
  const a = await milliseconds(constants(float, batchSize));
  const b = await milliseconds(buildIntGraph(network, { batchSize }));
  console.log(
    `${name} batch ${batchSize}: float ${a.toFixed(2)} ms, integers ${b.toFixed(2)} ms: ${(a / b).toFixed(2)} times as fast`,
  );
}
