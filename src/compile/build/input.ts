/**
 * How data enters a job: as bytes, which are converted and normalised inside the graph (a quarter of the memory to
 * carry, and no arithmetic in JavaScript), as float32, as they are or normalised too, or as whole numbers (tokens).
 *
 * A network of several inputs reads one row for each sample, which holds them one after another: a job has one data input
 * whatever the network has.
 */
import { GraphError } from "../../errors.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { dataInputs, type Network } from "../../ir/network.ts";
import { float32Tensor } from "../../ir/tensor.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { isFloat } from "../../ops/build/operands.ts";
import { cast } from "../../ops/families/cast.ts";
import { add, multiply } from "../../ops/families/elementwise.ts";
import { reshape } from "../../ops/families/shape/shape-ops.ts";
import { slice } from "../../ops/families/shape/slicing.ts";

/** One of a network's inputs within the row of a sample. */
export interface InputPart {
  /** The name of the network's input. */
  readonly name: string;
  /** Of one sample. */
  readonly shape: Shape;
  /** Its first element in the row. */
  readonly start: number;
}

/** The form in which data enter a graph: floats, bytes that it normalizes, or whole numbers. */
export type ImageInput =
  /** Floats x stay, or become (x − mean)/deviation where these are given. */
  | {
      readonly dtype: "float32";
      readonly mean?: readonly number[];
      readonly deviation?: readonly number[];
      readonly parts?: undefined;
    }
  /** Bytes x become (x/255 − mean)/deviation; one mean and deviation for each channel. */
  | {
      readonly dtype: "uint8";
      readonly mean: readonly number[];
      readonly deviation: readonly number[];
      readonly parts?: undefined;
    }
  /** Whole numbers stay. */
  | {
      readonly dtype: "int32";
      readonly mean?: undefined;
      readonly deviation?: undefined;
      readonly parts?: undefined;
    }
  /** Rows of several inputs stay. */
  | {
      readonly dtype: "int32" | "float32";
      readonly mean?: undefined;
      readonly deviation?: undefined;
      readonly parts: readonly InputPart[];
    };

/** Returns the places of inputs in the row of a sample, and its length. */
export function rowOf(inputs: readonly { readonly name: string; readonly shape: Shape }[]): {
  readonly parts: readonly InputPart[];
  readonly length: number;
} {
  let length = 0;
  const parts = inputs.map(({ name, shape }) => {
    const start = length;
    length += elementCount(shape);
    return { name, shape, start };
  });
  return { parts, length };
}

/**
 * Returns the form of data that enter a network as they are: whole numbers where it reads no floats, and rows where it has several
 * inputs.
 */
export function plainInput(network: Network): ImageInput {
  const inputs = dataInputs(network);
  const areWhole = inputs.length > 0 && inputs.every(({ type }) => !isFloat(type.dtype));
  if (inputs.length < 2) return areWhole ? { dtype: "int32" } : { dtype: "float32" };
  const { parts } = rowOf(inputs.map(({ name, type }) => ({ name, shape: type.shape.slice(1) })));
  return { dtype: areWhole ? "int32" : "float32", parts };
}

/** The data input of a job, and what the network reads. */
export interface AddedInputs {
  readonly input: Value;
  /** By the names of the network's inputs. */
  readonly values: ReadonlyMap<string, Value>;
}

/** The data input of a job whose network has several. */
const rowInput = "samples";

/**
 * Adds the job's data input and returns it with what the network's inputs read.
 *
 * @throws GraphError when the network has other inputs than the data.
 */
export function addDataInputs(builder: GraphBuilder, network: Network, config: ImageInput): AddedInputs {
  if (config.parts === undefined) {
    const own = singleDataInput(network);
    const { input, value } = addImageInput(builder, own, config);
    return { input, values: new Map([[own.name, value]]) };
  }
  const inputs = dataInputs(network);
  const [batch = 1] = inputs[0]?.type.shape ?? [];
  const length = config.parts.reduce((end, { start, shape }) => Math.max(end, start + elementCount(shape)), 0);
  const isTaken = network.graph.inputs.some(({ name }) => name === rowInput);
  const row = builder.input(isTaken ? `${rowInput} of ${network.name}` : rowInput, {
    dtype: config.dtype,
    shape: [batch, length],
  });
  const values = new Map<string, Value>();
  for (const own of inputs) {
    const part = config.parts.find(({ name }) => name === own.name);
    if (part === undefined) {
      throw new GraphError(`the data have no values for the input "${own.name}"`, {
        where: `network "${network.name}"`,
      });
    }
    const [start, end] = [part.start, part.start + elementCount(part.shape)];
    const picked = slice(builder, row, { starts: [start], ends: [end], axes: [1] });
    values.set(own.name, cast(builder, reshape(builder, picked, [batch, ...part.shape]), own.type.dtype));
  }
  return { input: row, values };
}

/** The network's one data input. @throws GraphError when there are more. */
function singleDataInput(network: Network): Value {
  const [input, ...others] = dataInputs(network);
  if (input === undefined || others.length > 0) {
    throw new GraphError(`one data input is needed, the network has ${others.length + (input === undefined ? 0 : 1)}`, {
      where: `network "${network.name}"`,
    });
  }
  return input;
}

/** Adds a data input of one network input and returns it with what the network reads. */
function addImageInput(
  builder: GraphBuilder,
  networkInput: Value,
  config: Exclude<ImageInput, { readonly parts: readonly InputPart[] }>,
): { readonly input: Value; readonly value: Value } {
  const { shape, dtype } = networkInput.type;
  const input = builder.input(networkInput.name, { dtype: config.dtype, shape });
  if (config.dtype === "int32") return { input, value: cast(builder, input, dtype) };
  const { mean, deviation } = config;
  if (mean === undefined || deviation === undefined) return { input, value: input };
  const unit = config.dtype === "uint8" ? 255 : 1;
  const perChannel = (values: number[]): Value =>
    builder.constant(float32Tensor([values.length, ...shape.slice(2).map(() => 1)], values));
  const factor = perChannel(deviation.map((value) => 1 / (unit * value)));
  const offset = perChannel(mean.map((value, channel) => -value / (deviation[channel] ?? 1)));
  const floats = config.dtype === "uint8" ? cast(builder, input, "float32") : input;
  return { input, value: add(builder, multiply(builder, floats, factor), offset) };
}
