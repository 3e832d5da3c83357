/** torch's `prepare_qat` for a network of subbyte: quantizers where a torch QConfig puts them. */
import type { Network } from "../ir/network.ts";
import { type PrepareOptions, quantizationConfigOf } from "../qconfig/torch/convert.ts";
import type { QConfig } from "../qconfig/torch/torch.ts";
import { quantize } from "./passes/quantize.ts";
import type { QuantizedNetwork } from "./sites.ts";

/**
 * The network with fake quantization after every module, as torch's eager mode does it, or with `placement: "fused"` as
 * on a model whose Conv, BN and ReLU were fused.
 *
 * @throws ConfigError when the QConfig contradicts itself.
 * @example
 * const prepared = prepareQat(
 *   network,
 *   new QConfig({ activation: defaultFakeQuant, weight: defaultWeightFakeQuant }),
 *   { placement: "everyModule" },
 * );
 * console.log(showSites(prepared));
 */
export function prepareQat(network: Network, qconfig: QConfig, options: PrepareOptions = {}): QuantizedNetwork {
  return quantize(network, quantizationConfigOf(qconfig, options));
}
