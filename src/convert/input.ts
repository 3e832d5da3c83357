/** The form in which data enter a converted network, checked: programs without types can pass anything. */

import type { ImageInput } from "../compile/build/input.ts";
import type { Dataset, DatasetSplits } from "../data/dataset/dataset.ts";
import { ConfigError, UnsupportedError } from "../errors.ts";
import { inputOf } from "../train/loop/evaluate.ts";

/** Options of the conversion of a simulation: the form in which data enter the network, as in training. */
export type ConvertOptions =
  | { readonly input: ImageInput }
  /** The data that it was trained on, whose type and normalization are taken. */
  | { readonly data: Dataset | DatasetSplits };

/** The input of a network that converts. */
export type ConvertedInput = Extract<ImageInput, { readonly dtype: "uint8" }> | FloatInput;
type FloatInput = Extract<ImageInput, { readonly dtype: "float32"; readonly parts?: undefined }>;

/**
 * Returns the input that the options state or their data have.
 *
 * @param channels The size of the input's axis that is normalized.
 * @throws ConfigError naming what is missing or wrong, UnsupportedError for whole numbers and several inputs.
 */
export function convertedInput(options: ConvertOptions, channels: number): ConvertedInput {
  const input = inputIn(options);
  if (input === undefined) {
    throw new ConfigError("the form in which data enter the network is missing", {
      where: "convert",
      remedy: "Pass the data of the training: convert(network, { data }), or { input: inputOf(data.train) }.",
    });
  }
  if (input.parts !== undefined || input.dtype === "int32") {
    throw new UnsupportedError("samples of whole numbers, or of several inputs, have no integer form yet", {
      where: "convert",
      remedy: "Convert a network with one float input; train, eval and diagnose take the others.",
    });
  }
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
