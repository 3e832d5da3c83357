/** The form in which data enter a converted network, checked: programs without types can pass anything. */

import type { ImageInput } from "../compile/build/input.ts";
import { traitsOf } from "../compile/registry.ts";
import type { Dataset, DatasetSplits } from "../data/dataset/dataset.ts";
import { ConfigError } from "../errors.ts";
import type { Graph, Node, Value } from "../ir/graph.ts";
import { elementCount, type Shape } from "../ir/types.ts";
import { isOperator } from "../ops/definition.ts";
import { castOperator } from "../ops/families/cast.ts";
import { inputOf } from "../train/loop/evaluate.ts";
import type { NetworkInput } from "./integer-network.ts";

/** Options of the conversion of a simulation: the form in which data enter the network, as in training. */
export type ConvertOptions =
  | { readonly input: ImageInput }
  /** The data that it was trained on, whose type and normalization are taken. */
  | { readonly data: Dataset | DatasetSplits };

/**
 * Returns the input that the options state or their data have.
 *
 * @param channels The size of the input's axis that is normalized.
 * @throws ConfigError naming what is missing or wrong.
 */
export function convertedInput(options: ConvertOptions, channels: number): ImageInput {
  const input = inputIn(options);
  if (input === undefined) {
    throw new ConfigError("the form in which data enter the network is missing", {
      where: "convert",
      remedy: "Pass the data of the training: convert(network, { data }), or { input: inputOf(data.train) }.",
    });
  }
  if (input.parts !== undefined || input.dtype === "int32") return input;
  const { dtype, mean, deviation } = input;
  if (dtype !== "uint8" && dtype !== "float32")
    throw wrong("input.dtype", `it is ${String(dtype)}`, "uint8 or float32");
  if (mean === undefined && deviation === undefined && dtype === "float32") return input;
  checkNumbers("input.mean", mean, channels, Number.isFinite);
  checkNumbers("input.deviation", deviation, channels, (value) => value > 0 && Number.isFinite(value));
  return input;
}

function inputIn(options: ConvertOptions | undefined): ImageInput | undefined {
  if (typeof options !== "object" || options === null) return undefined;
  if ("input" in options) return options.input ?? undefined;
  if (!("data" in options) || options.data === undefined) return undefined;
  const { data } = options;
  return inputOf("train" in data ? data.train : data);
}

function checkNumbers(
  where: string,
  values: readonly number[] | undefined,
  channels: number,
  isValid: (value: number) => boolean,
): void {
  const wanted = channels === 1 ? "one number" : `one number, or one for each of ${channels} channels`;
  if (!Array.isArray(values)) throw wrong(where, "it is missing", wanted);
  const isFitting = values.length === 1 || values.length === channels;
  if (!isFitting) throw wrong(where, `it has ${values.length} numbers`, wanted);
  if (!values.every(isValid)) throw wrong(where, `it is [${values.join(", ")}]`, "finite numbers, a deviation above 0");
}

function wrong(where: string, message: string, wanted: string): ConfigError {
  return new ConfigError(message, { where, remedy: `Give ${wanted}.` });
}

/** The input of an integer network, with what lies in a sample where that is whole numbers or several inputs. */
export function networkInput(inputs: readonly Value[], given: ImageInput): NetworkInput {
  const [first] = inputs;
  const shapeOf = ({ type }: Value): Shape => type.shape.slice(1);
  if (first === undefined) throw wrong("input", "the network has no data input", "one");
  if (given.parts === undefined) {
    if (inputs.length > 1) throw wrong("input", `the network has ${inputs.length} inputs`, "the parts of a sample");
    const own = { name: first.name, sampleShape: shapeOf(first), dtype: given.dtype };
    if (given.dtype !== "int32") return own;
    return { ...own, parts: [{ name: first.name, shape: shapeOf(first), start: 0, dtype: first.type.dtype }] };
  }
  const { parts } = given;
  const own = inputs.map((input) => {
    const part = parts.find(({ name }) => name === input.name);
    if (part === undefined)
      throw wrong("input", `the data have nothing for the input "${input.name}"`, "a part for it");
    return { ...part, dtype: input.type.dtype };
  });
  const length = own.reduce((end, { start, shape }) => Math.max(end, start + elementCount(shape)), 0);
  return { name: "samples", sampleShape: [length], dtype: given.dtype, parts: own };
}

/** Whether an input holds whole numbers: it is of such a type, or all that reads it makes them of it. */
export function isWholeInput({ nodes }: Graph, input: Value): boolean {
  if (!input.type.dtype.startsWith("float")) return true;
  const readers = nodes.filter(({ inputs }) => inputs.includes(input));
  const isCast = (node: Node): boolean =>
    isOperator(castOperator, node) && node.outputs[0]?.type.dtype.startsWith("float") === false;
  return readers.length > 0 && readers.every(isCast);
}

/**
 * The numbers that a whole-number input may hold, as far as the network says: those of the rows that they pick, or 0 and 1.
 *
 * @returns The largest; the least is 0.
 */
export function largestNumber({ nodes }: Graph, input: Value): number {
  const same = new Set<Value>([input]);
  let rows = Number.POSITIVE_INFINITY;
  for (const node of nodes) {
    const { picksRows, movement } = traitsOf(node);
    const picked = picksRows?.(node);
    const index = picked === undefined ? undefined : node.inputs[picked.index];
    if (picked !== undefined && index !== undefined && same.has(index)) rows = Math.min(rows, picked.rows);
    const [x] = node.inputs;
    const isMoved = typeof movement === "function" ? movement(node) : movement === true;
    if (x !== undefined && same.has(x) && (isMoved || isOperator(castOperator, node))) {
      for (const output of node.outputs) same.add(output);
    }
  }
  return Number.isFinite(rows) ? rows - 1 : 1;
}
