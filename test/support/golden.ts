/** Reads tensors from the golden vectors that other systems computed. */

import { float32Tensor, int64Tensor, type Tensor } from "../../src/ir/tensor.ts";

/** A tensor as the scripts in test/conformance write it. */
export type PackedTensor =
  | { readonly dtype: "float32"; readonly shape: readonly number[]; readonly base64: string }
  | { readonly dtype: "int64"; readonly shape: readonly number[]; readonly values: readonly number[] };

/** The tensor behind its packed form. */
export function unpackTensor(packed: PackedTensor): Tensor {
  if (packed.dtype === "int64") return int64Tensor(packed.values, packed.shape);
  const bytes = Uint8Array.from(Buffer.from(packed.base64, "base64"));
  return float32Tensor(packed.shape, new Float32Array(bytes.buffer));
}
