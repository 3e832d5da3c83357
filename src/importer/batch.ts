/**
 * Keeps the size of the batch out of the network.
 *
 * A file that leaves the batch open computes with it: it reads the input's shape and writes it into reshapes. Such a file
 * is read with a batch size that occurs nowhere else, a prime, so that the batch can be recognised wherever it went;
 * batch-forms.ts gives the operators that name it forms that do not.
 */

import { type Tensor, toNumbers } from "../ir/tensor.ts";
import { elementCount } from "../ir/types.ts";

/** A prime that no layer has as a size. */
export const unusualBatch = 65_521;

export interface BatchBinding {
  readonly size: number;
  /** The batch size that the file was written for, where it states one and is read for any. */
  readonly stated?: number;
}

/** Whether a size is a multiple of the batch. */
export function isBatch(size: number, batch: Pick<BatchBinding, "size"> | undefined): boolean {
  return batch !== undefined && size !== 0 && size % batch.size === 0;
}

/** Whether a tensor's shape or its integers have the batch in them. */
export function dependsOnBatch(tensor: Tensor, batch: Pick<BatchBinding, "size">): boolean {
  if (tensor.shape.some((size) => isBatch(size, batch))) return true;
  const isIndex = tensor.dtype === "int64" || tensor.dtype === "int32";
  return isIndex && elementCount(tensor.shape) <= 4096 && toNumbers(tensor).some((size) => isBatch(size, batch));
}
