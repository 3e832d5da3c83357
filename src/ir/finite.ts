/** Whether tensors and parameters hold numbers: neither NaN nor, where that has no meaning, infinities. */
import type { Parameter } from "./network.ts";
import type { Tensor } from "./tensor.ts";

/** Whether all elements are finite; of a tensor of integers or text always. */
export function isFiniteTensor({ data }: Tensor): boolean {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return true;
  // A loop, not every: this looks at all weights of a model.
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return false;
  return true;
}

/** Whether no element is NaN. */
function hasNoNaN({ data }: Tensor): boolean {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return true;
  for (let i = 0; i < data.length; i++) if (Number.isNaN(data[i])) return false;
  return true;
}

/** Whether a value is one that the parameter may have: observers that have seen nothing, and masks, are infinite. */
export function isSoundParameter({ role, trainable }: Pick<Parameter, "role" | "trainable">, value: Tensor): boolean {
  const mayBeInfinite = !trainable && (role === "observer" || role === "other");
  return mayBeInfinite ? hasNoNaN(value) : isFiniteTensor(value);
}
