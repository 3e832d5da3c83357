/** What the vectors of PyTorch's optimizers hold: tensors as base64, and options by torch's names. */
import type { OptimizerConfig } from "../../../src/compile/build/optimizer.ts";
import { float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";

/** A tensor in float32. */
interface Encoded {
  readonly shape: readonly number[];
  readonly base64: string;
}

/** A tensor of a file of vectors. */
export function decode({ shape, base64 }: Encoded): Tensor {
  const bytes = Buffer.from(base64, "base64");
  return float32Tensor(shape, new Float32Array(new Uint8Array(bytes).buffer));
}

/** Options of torch.optim. */
export interface TorchOptions {
  readonly lr: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weight_decay?: number;
  readonly betas?: readonly number[];
  readonly eps?: number;
}

/** The optimizer of torch's name and options. */
export function configOf(optimizer: string, options: TorchOptions): OptimizerConfig {
  if (optimizer === "SGD") {
    return { name: "sgd", momentum: options.momentum ?? 0, nesterov: options.nesterov ?? false };
  }
  const [beta1 = 0.9, beta2 = 0.999] = options.betas ?? [];
  return { name: optimizer === "AdamW" ? "adamw" : "adam", beta1, beta2, epsilon: options.eps ?? 1e-8 };
}
