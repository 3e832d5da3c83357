/** Where the tokens of a sample lie, and which of them are read. */
import type { InputPart } from "../../compile/build/input.ts";
import { ConfigError } from "../../errors.ts";
import { elementCount } from "../../ir/types.ts";
import type { Dataset } from "../dataset/dataset.ts";

/** The inputs of language models, by the names that tokenizers and their exporters give them. */
export const tokenInputs = {
  tokens: "input_ids",
  attention: "attention_mask",
  types: "token_type_ids",
} as const;

/** Places within the row of a sample. */
export interface TokenPlaces {
  readonly tokens: InputPart;
  /** 1 where the network reads a token, 0 for padding; absent: it reads all. */
  readonly attention?: InputPart;
}

/**
 * Finds the tokens of a data set: the only input, or that which is called input_ids.
 *
 * @throws ConfigError where the samples hold no tokens, or several inputs and none of that name.
 */
export function tokenPlaces(dataset: Dataset, task: string): TokenPlaces {
  const where = `data set "${dataset.name}"`;
  const { inputs, sampleShape, sampleType } = dataset;
  if (inputs === undefined) {
    if (sampleType === "int32") return { tokens: { name: tokenInputs.tokens, shape: sampleShape, start: 0 } };
    throw new ConfigError(`the task ${task} needs tokens, the samples are ${sampleType}`, {
      where,
      remedy: "Give whole numbers, and a model's file with an int64 input.",
    });
  }
  const named = (name: string) => inputs.find((part) => part.name === name);
  const [only, second] = inputs;
  const tokens = named(tokenInputs.tokens) ?? (second === undefined ? only : undefined);
  const attention = named(tokenInputs.attention);
  if (tokens === undefined) {
    throw new ConfigError(`the task ${task} needs an input called ${tokenInputs.tokens}`, {
      where,
      remedy: `The inputs are ${inputs.map(({ name }) => name).join(", ")}.`,
    });
  }
  if (attention !== undefined && elementCount(attention.shape) !== elementCount(tokens.shape)) {
    throw new ConfigError(
      `${attention.name} has ${elementCount(attention.shape)} elements for each sample, ${tokens.name} ${elementCount(tokens.shape)}`,
      { where, remedy: "Give masks of the tokens' size." },
    );
  }
  return { tokens, ...(attention === undefined ? {} : { attention }) };
}
