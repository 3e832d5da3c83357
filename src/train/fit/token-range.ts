/** Whether the numbers of samples that pick rows of a table, such as tokens of an embedding, are numbers of rows. */
import { traitsOf } from "../../compile/registry.ts";
import { allocateBatch, type Dataset } from "../../data/dataset/dataset.ts";
import { ConfigError } from "../../errors.ts";
import type { Value } from "../../ir/graph.ts";
import { dataInputs, type Network } from "../../ir/network.ts";
import { elementCount } from "../../ir/types.ts";
import { isOperator } from "../../ops/definition.ts";
import { castOperator } from "../../ops/families/cast.ts";

const readAtOnce = 256;

/** The range of the numbers that an input may hold. */
export interface TokenRange {
  /** The name of the network's input. */
  readonly input: string;
  /** Rows of the smallest table that they pick from: 0 to rows - 1 are numbers of rows. */
  readonly rows: number;
}

/**
 * Returns the inputs whose elements, all of them as they are, number the rows of a table.
 *
 * @example
 * console.log(tokenRanges(network)); // [{ input: "tokens", rows: 64 }]
 */
export function tokenRanges(network: Network): TokenRange[] {
  const origin = new Map<Value, Value>(dataInputs(network).map((input) => [input, input]));
  const rowsOf = new Map<string, number>();
  for (const node of network.graph.nodes) {
    const { movement, picksRows } = traitsOf(node);
    const picked = picksRows?.(node);
    const source = picked === undefined ? undefined : originOf(node.inputs[picked.index], origin);
    if (picked !== undefined && source !== undefined) {
      rowsOf.set(source.name, Math.min(picked.rows, rowsOf.get(source.name) ?? picked.rows));
    }
    const [x] = node.inputs;
    const [y] = node.outputs;
    const from = originOf(x, origin);
    const passes = isOperator(castOperator, node) || (picksRows === undefined && movement === true);
    // What leaves elements out may leave out those that are too large.
    if (passes && from !== undefined && y !== undefined && sizeOf(y) === sizeOf(from)) origin.set(y, from);
  }
  return [...rowsOf].map(([input, rows]) => ({ input, rows }));
}

function originOf(value: Value | undefined, origin: ReadonlyMap<Value, Value>): Value | undefined {
  return value === undefined ? undefined : origin.get(value);
}

function sizeOf({ type }: Value): number {
  return elementCount(type.shape);
}

/**
 * Checks every sample of a data set against the tables that its numbers pick rows of.
 *
 * @throws ConfigError naming the first sample and position of a number that is not that of a row.
 */
export async function checkTokens(network: Network, dataset: Dataset): Promise<void> {
  const isBytes = dataset.sampleType === "uint8";
  const ranges = isBytes ? [] : tokenRanges(network);
  if (ranges.length === 0) return;
  const { mean, std } = dataset.normalization;
  if (mean.some((value) => value !== 0) || std.some((value) => value !== 1)) {
    throw new ConfigError(`the model reads ${ranges[0]?.input} as numbers of rows, which a normalization changes`, {
      where: `data set "${dataset.name}"`,
      remedy: "Set data.normalization to none: --set data.normalization=none.",
    });
  }
  const size = Math.min(readAtOnce, dataset.count);
  const length = elementCount(dataset.sampleShape);
  const batch = allocateBatch(dataset, size);
  const checked = ranges.map(({ input, rows }) => {
    const part = dataset.inputs?.find(({ name }) => name === input);
    return { input, rows, start: part?.start ?? 0, length: part === undefined ? length : elementCount(part.shape) };
  });
  for (let first = 0; first < dataset.count; first += size) {
    const indices = Int32Array.from({ length: Math.min(size, dataset.count - first) }, (_, i) => first + i);
    await dataset.prefetch?.(indices);
    dataset.readBatch(indices, batch);
    for (let sample = 0; sample < indices.length; sample++) {
      for (const { input, rows, start, length: count } of checked) {
        const begin = sample * length + start;
        for (let i = begin; i < begin + count; i++) {
          const token = batch.samples[i] ?? 0;
          if (token >= 0 && token < rows) continue;
          throw outside(dataset, first + sample, i - begin, token, input, rows);
        }
      }
    }
  }
}

function outside(
  dataset: Dataset,
  sample: number,
  position: number,
  token: number,
  input: string,
  rows: number,
): ConfigError {
  const name = dataset.sampleName?.(sample) ?? `data set "${dataset.name}", sample ${sample}`;
  return new ConfigError(
    `position ${position} of ${input} holds ${token}; the model's table for it has ${rows} rows, 0 to ${rows - 1}`,
    {
      where: name,
      remedy: "Use the tokenizer and the vocabulary that the model was made with, or correct that sample.",
    },
  );
}
