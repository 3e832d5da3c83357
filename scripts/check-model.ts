/**
 * Checks ONNX files of others: what ONNX Runtime computes with the file itself against what it computes with the imported
 * network, on random inputs, and whether one training step has finite gradients for all that is trainable.
 *
 *     npx tsx scripts/check-model.ts [input=1x3x48x192 ...] FILE.onnx ...
 *
 * The loss of the step is the mean square of the output. Ends with code 1 where an error is above 1e-4 or a gradient is
 * missing or not finite.
 */
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { randomStream } from "../src/base/random.ts";
import { parseInputShapes } from "../src/cli/imported-model.ts";
import { formatTable } from "../src/cli/view/table.ts";
import { addForward, evaluationMode, trainingMode } from "../src/compile/build/forward.ts";
import { differentiate } from "../src/compile/passes/differentiate.ts";
import { newBuilder, operators } from "../src/compile/registry.ts";
import { importOnnxFile } from "../src/importer/node-files.ts";
import { dataInputs, type Network } from "../src/ir/network.ts";
import { float32Data, float32Tensor, int64Tensor } from "../src/ir/tensor.ts";
import { elementCount } from "../src/ir/types.ts";
import { multiply } from "../src/ops/families/elementwise.ts";
import { reduceMean } from "../src/ops/families/reduce.ts";
import { genericTarget } from "../src/ops/targets.ts";
import { emit } from "../src/runtime/job.ts";
import { emptyOutputs, type NamedTensors, relativeError, runBytes } from "./tensor-runs.ts";

const limit = 1e-4;

/** Random inputs: numbers around 0, whole numbers 0 and 1. */
function randomInputs(network: Network): NamedTensors {
  const random = randomStream(0, "inputs");
  return Object.fromEntries(
    dataInputs(network).map(({ name, type: { dtype, shape } }) => {
      const count = elementCount(shape);
      if (dtype === "int64") {
        return [
          name,
          int64Tensor(
            Array.from({ length: count }, () => random.integerBelow(2)),
            shape,
          ),
        ];
      }
      if (dtype !== "float32") throw new Error(`input ${name} is ${dtype}`);
      return [
        name,
        float32Tensor(
          shape,
          Array.from({ length: count }, () => random.normal()),
        ),
      ];
    }),
  );
}

/** Runs a file unchanged. Its external data are looked for in the working folder, since the engine is given bytes. */
async function runFile(file: string, feeds: NamedTensors, outputs: NamedTensors): Promise<void> {
  const [bytes, before] = [readFileSync(file), process.cwd()];
  process.chdir(dirname(file));
  try {
    await runBytes(bytes, feeds, outputs);
  } finally {
    process.chdir(before);
  }
}

/** The outputs, or the gradients of the mean square of the first one. */
async function runImported(network: Network, data: NamedTensors, training: boolean): Promise<NamedTensors> {
  const builder = newBuilder("check");
  const inputs = new Map(network.graph.inputs.map((input) => [input.name, builder.input(input.name, input.type)]));
  const forward = addForward(builder, network, inputs, training ? trainingMode : evaluationMode);
  if (training) {
    const [output] = forward.outputs.values();
    if (output === undefined) throw new Error("the network has no output");
    const loss = reduceMean(builder, multiply(builder, output, output), undefined, { keepDimensions: false });
    const wanted = network.parameters.flatMap(({ name, trainable }) => (trainable ? (inputs.get(name) ?? []) : []));
    for (const [value, gradient] of differentiate(builder, operators, builder.nodes, loss, wanted)) {
      if (wanted.includes(value)) builder.output(`gradient ${value.name}`, gradient);
    }
  } else {
    for (const [name, value] of forward.outputs) builder.output(name, value);
  }
  const graph = builder.finish();
  const outputs = emptyOutputs(graph.outputs.map(({ name, value }) => ({ name, type: value.type })));
  const parameters = Object.fromEntries(network.parameters.map(({ name, value }) => [name, value]));
  await runBytes(emit(graph, genericTarget), { ...parameters, ...data }, outputs);
  return outputs;
}

async function check(file: string, shapes: readonly string[]): Promise<readonly (string | number)[]> {
  const imported = importOnnxFile(file, { inputShapes: parseInputShapes(shapes) });
  const network: Network = imported;
  const data = randomInputs(network);
  const own = await runImported(network, data, false);
  const expected = emptyOutputs(network.graph.outputs.map(({ name, value }) => ({ name, type: value.type })));
  await runFile(file, data, expected);
  const error = Math.max(...Object.entries(expected).map(([name, tensor]) => relativeError(own[name], tensor)));
  const trainable = network.parameters.filter((parameter) => parameter.trainable).length;
  const gradients = trainable === 0 ? [] : Object.values(await runImported(network, data, true));
  const finite = gradients.filter((gradient) => float32Data(gradient).every(Number.isFinite)).length;
  if (error > limit || finite < trainable) process.exitCode = 1;
  const { producer, opset } = imported.imported;
  return [
    basename(file),
    producer,
    opset,
    network.graph.nodes.length,
    error.toExponential(1),
    `${finite} of ${trainable}`,
  ];
}

const shapes = process.argv.slice(2).filter((argument) => argument.includes("="));
const files = process.argv.slice(2).filter((argument) => !argument.includes("="));
const rows: (readonly (string | number)[])[] = [];
for (const file of files) {
  try {
    rows.push(await check(file, shapes));
  } catch (error) {
    process.stderr.write(`${basename(file)}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
const headings = ["model", "from", "opset", "nodes", "output's error", "finite gradients"];
process.stdout.write(
  `${formatTable(
    headings,
    rows.map((row) => [...row]),
  )}\n`,
);
