/**
 * torch.ao.quantization's configuration, written in TypeScript nearly word for word: `with_args` is `withArgs`, and
 * keyword arguments are an object in camel case. What the forms mean for subbyte is in torch-convert.ts.
 *
 * The names, arguments and default values are those of torch 1.13 (`fake_quantize.py`, `observer.py`, `qconfig.py`).
 *
 * @module
 * @example
 * const bits = 4;
 * const qconfig = new QConfig({
 *   activation: FakeQuantize.withArgs({
 *     observer: MovingAverageMinMaxObserver.withArgs({
 *       quantMin: 0, quantMax: 2 ** bits - 1, dtype: quint8, qscheme: perTensorAffine, reduceRange: true,
 *     }),
 *   }),
 *   weight: defaultPerChannelWeightFakeQuant,
 * });
 */

import { didYouMean } from "../../base/nearest-word.ts";
import { ConfigError } from "../../errors.ts";
import type { TorchDtype, TorchQscheme } from "./limits.ts";

/** torch.quint8. */
export const quint8: TorchDtype = "quint8";
/** torch.qint8. */
export const qint8: TorchDtype = "qint8";

/** torch.per_tensor_affine. */
export const perTensorAffine: TorchQscheme = "per_tensor_affine";
/** torch.per_tensor_symmetric. */
export const perTensorSymmetric: TorchQscheme = "per_tensor_symmetric";
/** torch.per_channel_affine. */
export const perChannelAffine: TorchQscheme = "per_channel_affine";
/** torch.per_channel_symmetric. */
export const perChannelSymmetric: TorchQscheme = "per_channel_symmetric";

/** The observers of torch that subbyte has. */
export type TorchObserverName =
  | "MinMaxObserver"
  | "MovingAverageMinMaxObserver"
  | "PerChannelMinMaxObserver"
  | "MovingAveragePerChannelMinMaxObserver"
  | "HistogramObserver";

/** The fake-quantize modules of torch and torchao that subbyte has. */
export type TorchFakeQuantizeName =
  | "FakeQuantize"
  | "FusedMovingAvgObsFakeQuantize"
  | "_LearnableFakeQuantize"
  | "APoTFakeQuantize"
  | "IntxFakeQuantizer";

/** Keyword arguments of an observer; each observer takes those that torch gives it. */
export interface ObserverArguments {
  readonly dtype?: TorchDtype;
  readonly qscheme?: TorchQscheme;
  readonly reduceRange?: boolean;
  readonly quantMin?: number;
  readonly quantMax?: number;
  /** Moving averages only: the share of the new batch, 0.01 unless given. */
  readonly averagingConstant?: number;
  /** Per-channel observers only: 0 unless given. */
  readonly chAxis?: number;
  /** HistogramObserver only: 2048 unless given. */
  readonly bins?: number;
  /** The smallest scale: float32's 2⁻²³ unless given. The fused module trains without it. */
  readonly eps?: number;
}

/** The configuration of torchao's `IntxFakeQuantizer`. */
export interface IntxArguments {
  readonly bits: number;
  readonly signed: boolean;
  readonly granularity: "tensor" | "channel" | "group" | "token";
  readonly groupSize?: number;
  readonly symmetric: boolean;
  /** Whether scale and zero point are trained; otherwise they follow the values of each step. */
  readonly learned: boolean;
}

/** Keyword arguments of a fake-quantize module; those that are not its own go to the observer. */
export interface FakeQuantizeArguments extends ObserverArguments {
  readonly observer?: ObserverForm;
  /** _LearnableFakeQuantize only: an initial value that its observer replaces before anything is learned. */
  readonly scale?: number;
  readonly zeroPoint?: number;
  readonly channelLen?: number;
  readonly useGradScaling?: boolean;
  /** APoTFakeQuantize only: the bits, and how many of them each term has. */
  readonly b?: number;
  readonly k?: number;
  /** IntxFakeQuantizer only. */
  readonly intx?: IntxArguments;
}

/** An observer class with the arguments that it will be made with, as torch's `_PartialWrapper` is. */
export class ObserverForm {
  readonly observer: TorchObserverName;
  readonly args: ObserverArguments;

  constructor(observer: TorchObserverName, args: ObserverArguments = {}) {
    this.observer = observer;
    this.args = args;
  }

  /** The same with more arguments; a later one goes over an earlier one of its name. */
  withArgs(args: ObserverArguments): ObserverForm {
    return new ObserverForm(this.observer, { ...this.args, ...args });
  }
}

/** A fake-quantize class with the arguments that it will be made with. */
export class FakeQuantizeForm {
  readonly module: TorchFakeQuantizeName;
  readonly args: FakeQuantizeArguments;

  constructor(module: TorchFakeQuantizeName, args: FakeQuantizeArguments = {}) {
    this.module = module;
    this.args = args;
  }

  /** The same with more arguments; a later one goes over an earlier one of its name. */
  withArgs(args: FakeQuantizeArguments): FakeQuantizeForm {
    return new FakeQuantizeForm(this.module, { ...this.args, ...args });
  }
}

/** torch.ao.quantization.MinMaxObserver. */
export const MinMaxObserver = new ObserverForm("MinMaxObserver");
/** torch.ao.quantization.MovingAverageMinMaxObserver. */
export const MovingAverageMinMaxObserver = new ObserverForm("MovingAverageMinMaxObserver");
/** torch.ao.quantization.PerChannelMinMaxObserver. */
export const PerChannelMinMaxObserver = new ObserverForm("PerChannelMinMaxObserver");
/** torch.ao.quantization.MovingAveragePerChannelMinMaxObserver. */
export const MovingAveragePerChannelMinMaxObserver = new ObserverForm("MovingAveragePerChannelMinMaxObserver");
/** torch.ao.quantization.HistogramObserver. */
export const HistogramObserver = new ObserverForm("HistogramObserver");

/** Observer and quantizer as two steps, the scale computed in Python ("classic"). */
export const FakeQuantize = new FakeQuantizeForm("FakeQuantize");
/** Both in one C++ kernel, which computes scale and zero point by other rules. */
export const FusedMovingAvgObsFakeQuantize = new FakeQuantizeForm("FusedMovingAvgObsFakeQuantize");
/** torch's `_LearnableFakeQuantize`: scale and zero point are trained. */
export const LearnableFakeQuantize = new FakeQuantizeForm("_LearnableFakeQuantize");
/** torch.ao.quantization.experimental's additive powers of two. */
export const APoTFakeQuantize = new FakeQuantizeForm("APoTFakeQuantize");

/** Torch's `QConfig`: a form for activations and one for weights; null leaves them in float (`nn.Identity`). */
export class QConfig {
  readonly activation: FakeQuantizeForm | null;
  readonly weight: FakeQuantizeForm | null;

  constructor(forms: { readonly activation: FakeQuantizeForm | null; readonly weight: FakeQuantizeForm | null }) {
    this.activation = forms.activation;
    this.weight = forms.weight;
  }
}

const activationDefaults = { quantMin: 0, quantMax: 255, dtype: quint8, qscheme: perTensorAffine } as const;
const weightLimits = { quantMin: -128, quantMax: 127, dtype: qint8 } as const;
const perTensorWeight = {
  ...weightLimits,
  observer: MovingAverageMinMaxObserver,
  qscheme: perTensorSymmetric,
} as const;
const perChannelWeight = {
  ...weightLimits,
  observer: MovingAveragePerChannelMinMaxObserver,
  qscheme: perChannelSymmetric,
  chAxis: 0,
} as const;

/** torch's default_fake_quant. */
export const defaultFakeQuant = FakeQuantize.withArgs({
  ...activationDefaults,
  observer: MovingAverageMinMaxObserver,
  reduceRange: true,
});
/** torch's default_weight_fake_quant. */
export const defaultWeightFakeQuant = FakeQuantize.withArgs({ ...perTensorWeight, reduceRange: false });
/** torch's default_per_channel_weight_fake_quant. */
export const defaultPerChannelWeightFakeQuant = FakeQuantize.withArgs({ ...perChannelWeight, reduceRange: false });
/** torch's default_histogram_fake_quant. */
export const defaultHistogramFakeQuant = FakeQuantize.withArgs({
  ...activationDefaults,
  observer: HistogramObserver,
  reduceRange: true,
});
/** torch's default_fused_act_fake_quant. */
export const defaultFusedActFakeQuant = FusedMovingAvgObsFakeQuantize.withArgs({
  observer: MovingAverageMinMaxObserver,
  quantMin: 0,
  quantMax: 255,
  dtype: quint8,
});
/** torch's default_fused_wt_fake_quant. */
export const defaultFusedWtFakeQuant = FusedMovingAvgObsFakeQuantize.withArgs(perTensorWeight);
/** torch's default_fused_per_channel_wt_fake_quant. */
export const defaultFusedPerChannelWtFakeQuant = FusedMovingAvgObsFakeQuantize.withArgs(perChannelWeight);
const narrowWeight = { quantMin: -127, quantMax: 127, eps: 2 ** -12 } as const;
/** torch's fused_wt_fake_quant_range_neg_127_to_127. */
export const fusedNarrowWtFakeQuant = defaultFusedWtFakeQuant.withArgs(narrowWeight);
/** torch's fused_per_channel_wt_fake_quant_range_neg_127_to_127. */
export const fusedNarrowPerChannelWtFakeQuant = defaultFusedPerChannelWtFakeQuant.withArgs(narrowWeight);
/** torch's default_dynamic_fake_quant. */
export const defaultDynamicFakeQuant = FakeQuantize.withArgs({
  observer: MovingAverageMinMaxObserver,
  quantMin: 0,
  quantMax: 255,
  dtype: quint8,
  averagingConstant: 1,
});
/** The activations of torch's symmetric configurations for qnnpack. */
export const symmetricQnnpackActivation = FusedMovingAvgObsFakeQuantize.withArgs({
  observer: MovingAverageMinMaxObserver,
  quantMin: -128,
  quantMax: 127,
  dtype: qint8,
  reduceRange: false,
  eps: 2 ** -12,
});

/** The backends of `get_default_qat_qconfig`: whether each halves the activations' range, and its weights' form. */
const backends: Readonly<Record<string, { readonly reduceRange: boolean; readonly perChannel: boolean }>> = {
  fbgemm: { reduceRange: true, perChannel: true },
  x86: { reduceRange: true, perChannel: true },
  qnnpack: { reduceRange: false, perChannel: false },
  onednn: { reduceRange: false, perChannel: true },
};

/**
 * `get_default_qat_qconfig` of torch 1.13: eight bits, with `reduce_range` for fbgemm and x86. Version 1 uses the fused
 * kernel.
 *
 * @throws ConfigError for a backend that torch does not know.
 *
 * @example
 * console.log(getDefaultQatQconfig("fbgemm") instanceof QConfig); // true
 */
export function getDefaultQatQconfig(backend = "fbgemm", version: 0 | 1 = 1): QConfig {
  const known = backends[backend];
  if (known === undefined) {
    const names = Object.keys(backends);
    throw new ConfigError(`there is no backend "${backend}"`, {
      remedy: didYouMean(backend, names) ?? `Use one of: ${names.join(", ")}.`,
    });
  }
  const { reduceRange, perChannel } = known;
  const module = version === 0 ? FakeQuantize : FusedMovingAvgObsFakeQuantize;
  const classic = perChannel ? defaultPerChannelWeightFakeQuant : defaultWeightFakeQuant;
  const fused = perChannel ? defaultFusedPerChannelWtFakeQuant : defaultFusedWtFakeQuant;
  return new QConfig({
    activation: module.withArgs({ observer: MovingAverageMinMaxObserver, quantMin: 0, quantMax: 255, reduceRange }),
    weight: version === 0 ? classic : fused,
  });
}
