/**
 * How data enters a job: as bytes, which are converted and normalised inside the graph (a quarter of the memory to
 * carry, and no arithmetic in JavaScript), or as float32 as they are.
 */
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { float32Tensor } from "../graph/tensor.ts";
import { cast } from "../ops/cast.ts";
import { add, multiply } from "../ops/elementwise.ts";

export type ImageInput =
  | { readonly dtype: "float32" }
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
  if (config.dtype === "float32") return { input, value: input };
  const perChannel = (values: number[]): Value =>
    builder.constant(float32Tensor([values.length, ...shape.slice(2).map(() => 1)], values));
  const factor = perChannel(config.deviation.map((deviation) => 1 / (255 * deviation)));
  const offset = perChannel(config.mean.map((mean, channel) => -mean / (config.deviation[channel] ?? 1)));
  return { input, value: add(builder, multiply(builder, cast(builder, input, "float32"), factor), offset) };
}
