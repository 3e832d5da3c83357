/** The quantization of the fake-quantize modules that are not FakeQuantize: APoT's and torchao's. */
import { ConfigError } from "../../errors.ts";
import { apotTorch } from "../../quantizers/methods/apot-torch.ts";
import { learnable } from "../../quantizers/methods/learnable.ts";
import { uniform } from "../../quantizers/methods/uniform.ts";
import type { TensorQuantization } from "../tensor-quantization.ts";
import type { FakeQuantizeForm } from "./torch.ts";

/** An observer whose range is that of the values at hand. */
const currentRange = { observer: "movingAverageMinMax", options: { averagingConstant: 1 } } as const;

/**
 * APoTFakeQuantize: unsigned levels whatever the tensor is, of a range that follows each batch.
 *
 * @throws ConfigError where b or k is missing.
 */
export function apotQuantization({ args }: FakeQuantizeForm, where: string): TensorQuantization {
  const { b, k, dtype = "quint8" } = args;
  if (b === undefined || k === undefined) {
    throw new ConfigError("APoTFakeQuantize needs its bits b and the bits k of a term", {
      where,
      remedy: "Write with_args(b=4, k=2, …).",
    });
  }
  return {
    quantizer: apotTorch.name,
    bits: b,
    signed: dtype === "qint8",
    granularity: "tensor",
    observer: currentRange,
    options: { k, alwaysUnsigned: true },
  };
}

/**
 * torchao's IntxFakeQuantizer: scales that follow each batch, or are trained. A token has no range of its own here.
 *
 * @throws ConfigError where its configuration is missing.
 */
export function intxQuantization({ args }: FakeQuantizeForm, where: string): TensorQuantization {
  const { intx, eps } = args;
  if (intx === undefined)
    throw new ConfigError("IntxFakeQuantizer needs a configuration", { where, remedy: "Give args.intx." });
  const { bits, signed, granularity, groupSize, symmetric, learned } = intx;
  const scheme = symmetric ? "symmetric" : "affine";
  const common = {
    bits,
    signed,
    granularity: granularity === "token" ? "tensor" : granularity,
    ...(groupSize === undefined ? {} : { groupSize }),
  } as const;
  if (learned) return { ...common, quantizer: learnable.name, options: { scheme, gradientScale: "none" } };
  return {
    ...common,
    quantizer: uniform.name,
    observer: currentRange,
    options: { scheme, ...(eps === undefined ? {} : { eps }) },
  };
}
