/** Small networks of tokens as ONNX files: an embedding, a mask, a layer, and scores of the sample or of each position. */
import { writeFile } from "node:fs/promises";
import { newBuilder } from "../../../src/compile/registry.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import type { Network, Parameter } from "../../../src/ir/network.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import type { DType } from "../../../src/ir/types.ts";
import { cast } from "../../../src/ops/families/cast.ts";
import { multiply } from "../../../src/ops/families/elementwise.ts";
import { reduceMean } from "../../../src/ops/families/reduce.ts";
import { gather } from "../../../src/ops/families/shape/indexing.ts";
import { unsqueeze } from "../../../src/ops/families/shape/shape-ops.ts";
import { seeded } from "../random.ts";

export interface TokenNetworkOptions {
  readonly vocabulary: number;
  readonly length: number;
  readonly classes: number;
  /** Whether there is an attention mask; of floats where its type says so. */
  readonly mask?: DType;
  /** Scores of the whole sample, or of each position. */
  readonly head: "sample" | "positions";
}

const width = 8;

/** ids (int64) and mask → scores [N, classes] or [N, length, classes]. */
export function tokenNetwork({ vocabulary, length, classes, mask, head }: TokenNetworkOptions): Network {
  const builder = newBuilder("tokens");
  const random = seeded(3);
  const parameters: Parameter[] = [];
  const parameter = (name: string, shape: readonly number[]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const value = float32Tensor(
      shape,
      Float32Array.from({ length: count }, () => random() - 0.5),
    );
    parameters.push({ name, role: "weight", trainable: true, value });
    return builder.input(name, value);
  };
  const ids = builder.input("input_ids", { dtype: "int64", shape: [1, length] });
  const attention =
    mask === undefined ? undefined : builder.input("attention_mask", { dtype: mask, shape: [1, length] });
  let x = gather(builder, parameter("table", [vocabulary, width]), ids);
  if (attention !== undefined) x = multiply(builder, x, unsqueeze(builder, cast(builder, attention, "float32"), [2]));
  x = builder.one("Relu", [builder.one("MatMul", [x, parameter("inner", [width, width])])]);
  if (head === "sample") x = reduceMean(builder, x, [1], { keepDimensions: false });
  builder.output("scores", builder.one("MatMul", [x, parameter("head", [width, classes])]));
  return { name: "tokens", graph: builder.finish(), parameters };
}

/** Writes such a network as a file. */
export async function writeTokenNetwork(file: string, options: TokenNetworkOptions): Promise<string> {
  await writeFile(file, exportOnnx(tokenNetwork(options)));
  return file;
}
