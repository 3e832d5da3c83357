/**
 * How data enters a job: as bytes, which are converted and normalised inside the graph (a quarter of the memory to
 * carry, and no arithmetic in JavaScript), or as float32, as they are or normalised too.
 */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { float32Tensor } from "../../ir/tensor.ts";
import { cast } from "../../ops/families/cast.ts";
import { add, multiply } from "../../ops/families/elementwise.ts";

/** The form in which data enter a graph: floats, or bytes that it normalizes. */
export type ImageInput =
  /** Floats x stay, or become (x − mean)/deviation where these are given. */
  | { readonly dtype: "float32"; readonly mean?: readonly number[]; readonly deviation?: readonly number[] }
  /** Bytes x become (x/255 − mean)/deviation; one mean and deviation for each channel. */
  | { readonly dtype: "uint8"; readonly mean: readonly number[]; readonly deviation: readonly number[] };

/** Adds the job's data input and returns it with what the network reads. */
export function addImageInput(
  builder: GraphBuilder,
  networkInput: Value,
  config: ImageInput,
): { readonly input: Value; readonly value: Value } {
  const { shape } = networkInput.type;
  const input = builder.input(networkInput.name, { dtype: config.dtype, shape });
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
