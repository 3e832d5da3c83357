/**
 * The node tests of ONNX: small models, each with inputs and the outputs that ONNX says it has.
 *
 * Debian packages them as libonnx-testdata. Everything is an input there, even shapes, which are constants in real models:
 * where a model cannot be read so, its later inputs become initializers, and as a last resort all of them.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ModelProto, ModelProtoSchema, type TensorProto, TensorProtoSchema } from "onnx-buf";
import { SubbyteError } from "../../../src/errors.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import { inFloat32 } from "../../../src/ir/half.ts";
import { dataInputs, type Network } from "../../../src/ir/network.ts";
import { allocate, makeTensor, type Tensor, toNumbers } from "../../../src/ir/tensor.ts";
import { elementCount } from "../../../src/ir/types.ts";
import { readTensor } from "../../../src/onnx/wire/tensor.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { emit } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";

export const backendFolder = "/usr/share/libonnx-testdata/data/node";

export interface BackendCase {
  readonly name: string;
  /** The operators of the model, with their domain where it is not the standard one. */
  readonly operators: readonly string[];
  readonly folder: string;
}

/** Every case of a folder, of what is installed by default; none where there is none. */
export function backendCases(root = backendFolder): BackendCase[] {
  if (!existsSync(root)) return [];
  return readdirSync(root).map((name) => {
    const folder = join(root, name);
    const { graph } = readModel(folder);
    const operators = (graph?.node ?? []).map(({ domain, opType }) => (domain === "" ? opType : `${domain}:${opType}`));
    return { name, operators: [...new Set(operators)], folder };
  });
}

function readModel(folder: string): ModelProto {
  return fromBinary(ModelProtoSchema, readFileSync(join(folder, "model.onnx")));
}

interface Sample {
  readonly inputs: readonly (TensorProto | undefined)[];
  readonly outputs: readonly Tensor[];
}

function readSample(folder: string): Sample {
  const set = join(folder, "test_data_set_0");
  const files = (kind: string) => {
    const pattern = new RegExp(`^${kind}_(\\d+)\\.pb$`);
    const numbers = readdirSync(set).flatMap((file) => pattern.exec(file)?.slice(1).map(Number) ?? []);
    return numbers
      .sort((a, b) => a - b)
      .map((number) => fromBinary(TensorProtoSchema, readFileSync(join(set, `${kind}_${number}.pb`))));
  };
  return { inputs: files("input"), outputs: files("output").map((proto) => inFloat32(readTensor(proto, "output"))) };
}

/** The model with some of its inputs as initializers. */
function withInitializers(model: ModelProto, sample: Sample, isBaked: (index: number) => boolean): Uint8Array {
  const { graph } = model;
  if (graph === undefined) return toBinary(ModelProtoSchema, model);
  const tensors = graph.input.flatMap(({ name }, i) => {
    const tensor = sample.inputs[i];
    return tensor === undefined || !isBaked(i) ? [] : [{ ...tensor, name }];
  });
  const names = new Set(tensors.map(({ name }) => name));
  const input = graph.input.filter(({ name }) => !names.has(name));
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, { ...model, graph: { ...graph, input, initializer: [...graph.initializer, ...tensors] } }),
  );
}

/** Runs a case. @throws Error that says what differs, or the error of the import or the engine. */
export async function runBackendCase({ folder }: BackendCase): Promise<void> {
  const model = readModel(folder);
  const sample = readSample(folder);
  const network = importInStages(model, sample);
  const names = (model.graph?.input ?? []).map(({ name }) => name);
  const feeds = new Map<string, Tensor>(network.parameters.map(({ name, value }) => [name, value]));
  for (const { name } of dataInputs(network)) {
    const proto = sample.inputs[names.indexOf(name)];
    if (proto === undefined) throw new Error(`no data for input "${name}"`);
    feeds.set(name, inFloat32(readTensor(proto, name)));
  }
  const outputs = await evaluate(network, feeds);
  for (const [i, { name }] of (model.graph?.output ?? []).entries()) {
    const [actual, expected] = [outputs[name], sample.outputs[i]];
    if (actual === undefined || expected === undefined) throw new Error(`output "${name}" is missing`);
    compare(name, actual, expected);
  }
}

function importInStages(model: ModelProto, sample: Sample): Network {
  const stages = [() => false, (index: number) => index > 0, () => true];
  let first: unknown;
  for (const stage of stages) {
    try {
      return importOnnx(withInitializers(model, sample, stage));
    } catch (error) {
      if (!(error instanceof SubbyteError)) throw error;
      first ??= error;
    }
  }
  throw first;
}

async function evaluate(network: Network, feeds: ReadonlyMap<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await nodeEngine({ threads: 1 }).createSession(emit(network.graph, genericTarget));
  const outputs = Object.fromEntries(
    network.graph.outputs.map(({ name, value: { type } }) => [
      name,
      makeTensor(type.dtype, type.shape, allocate(type.dtype, elementCount(type.shape))),
    ]),
  );
  const used = Object.fromEntries([...feeds].filter(([name]) => session.inputNames.includes(name)));
  await session.run(used, outputs);
  await session.release();
  return outputs;
}

/** ONNX's own tolerance. */
function compare(name: string, actual: Tensor, expected: Tensor): void {
  if (actual.shape.join() !== expected.shape.join()) {
    throw new Error(`output "${name}" has the shape [${actual.shape}] instead of [${expected.shape}]`);
  }
  const [a, b] = [toNumbers(actual), toNumbers(expected)];
  b.forEach((value, i) => {
    const other = a[i] ?? Number.NaN;
    const isSame =
      Object.is(other, value) || other === value || Math.abs(other - value) <= 1e-6 + 1e-3 * Math.abs(value);
    if (!isSame && !(Number.isNaN(other) && Number.isNaN(value))) {
      throw new Error(`output "${name}" is ${other} instead of ${value} at element ${i}`);
    }
  });
}
