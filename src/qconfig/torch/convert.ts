/**
 * Converts a torch QConfig: the arguments as torch 1.13 passes them from module to observer, and the quantization that
 * follows.
 *
 * Arguments of the fake-quantize module go over those of its observer, but its limits only as a pair. The fused module
 * has limits of its own, 0..255, so the limits that its observer was given are lost (`FusedMovingAvgObsFakeQuantize.
 * __init__`); subbyte does as torch does, and `explain` says so.
 */
import { defined } from "../../base/defined.ts";
import { ConfigError } from "../../errors.ts";
import type { ObserverSpec, QuantizerOptions } from "../../quantizers/definition.ts";
import { learnable } from "../../quantizers/methods/learnable.ts";
import type { LayerOverride, LayerRule, Placement, QuantizationConfig } from "../config.ts";
import type { TensorQuantization } from "../tensor-quantization.ts";
import { apotQuantization, intxQuantization } from "./forms.ts";
import { askedLimits, type CodeLimits, calculateQuantLimits, type TorchQscheme } from "./limits.ts";
import {
  type FakeQuantizeForm,
  MovingAverageMinMaxObserver,
  type ObserverArguments,
  type ObserverForm,
  type QConfig,
  type TorchObserverName,
} from "./torch.ts";

interface ObserverFacts {
  readonly perChannel: boolean;
  readonly defaultQscheme: TorchQscheme;
  /** Arguments beyond those that every observer takes. */
  readonly extra: readonly (keyof ObserverArguments)[];
  /** The observer that moves the range in training, or the options of a quantizer whose range is found once. */
  ranges(args: ObserverArguments): { readonly observer: ObserverSpec } | { readonly options: QuantizerOptions };
}

const movingAverage: ObserverFacts["ranges"] = (args) => ({
  observer: { observer: "movingAverageMinMax", options: { averagingConstant: args.averagingConstant ?? 0.01 } },
});
const minMax: ObserverFacts["ranges"] = () => ({ observer: { observer: "minMax", options: {} } });

/** The observers by their names in torch. */
export const torchObservers: Readonly<Record<TorchObserverName, ObserverFacts>> = {
  MinMaxObserver: { perChannel: false, defaultQscheme: "per_tensor_affine", extra: [], ranges: minMax },
  MovingAverageMinMaxObserver: {
    perChannel: false,
    defaultQscheme: "per_tensor_affine",
    extra: ["averagingConstant"],
    ranges: movingAverage,
  },
  PerChannelMinMaxObserver: {
    perChannel: true,
    defaultQscheme: "per_channel_affine",
    extra: ["chAxis"],
    ranges: minMax,
  },
  MovingAveragePerChannelMinMaxObserver: {
    perChannel: true,
    defaultQscheme: "per_channel_affine",
    extra: ["averagingConstant", "chAxis"],
    ranges: movingAverage,
  },
  HistogramObserver: {
    perChannel: false,
    defaultQscheme: "per_tensor_affine",
    extra: ["bins"],
    // Here the search is made once, on the first batches. torch makes it for 256 levels, however many there are.
    ranges: ({ bins = 2048 }) => ({ options: { initializer: "histogram", bins, histogramLevels: 256 } }),
  },
};

const ordinaryArguments: readonly (keyof ObserverArguments)[] = [
  "dtype",
  "qscheme",
  "reduceRange",
  "quantMin",
  "quantMax",
  "eps",
];

/** Arguments of the module itself, which its observer does not get. */
const learnableArguments = ["scale", "zeroPoint", "channelLen", "useGradScaling"] as const;

/** A form with torch's defaults filled in. */
interface ResolvedForm {
  readonly observer: TorchObserverName;
  readonly args: ObserverArguments;
  /** The limits that a person wrote, where torch loses them. */
  readonly lostLimits?: { readonly quantMin: number; readonly quantMax: number };
}

function resolveForm(form: FakeQuantizeForm, where: string): ResolvedForm {
  const { observer: given, quantMin, quantMax, ...rest } = withoutOwn(form);
  const observer: ObserverForm = given ?? MovingAverageMinMaxObserver;
  const hasOwnLimits = form.module === "FusedMovingAvgObsFakeQuantize" || form.module === "_LearnableFakeQuantize";
  if ((quantMin === undefined) !== (quantMax === undefined)) {
    askedLimits(
      {
        dtype: "quint8",
        ...defined({ quantMin, quantMax }),
      },
      where,
    );
  }
  const inner = observer.args;
  const ownLimits =
    quantMin !== undefined && quantMax !== undefined
      ? { quantMin, quantMax }
      : hasOwnLimits
        ? { quantMin: 0, quantMax: 255 }
        : {};
  const args = { ...inner, ...rest, ...ownLimits };
  const lost =
    hasOwnLimits && quantMin === undefined && inner.quantMin !== undefined && inner.quantMax !== undefined
      ? { lostLimits: { quantMin: inner.quantMin, quantMax: inner.quantMax } }
      : {};
  return { observer: observer.observer, args, ...lost };
}

function withoutOwn({ module, args }: FakeQuantizeForm): FakeQuantizeForm["args"] {
  if (module !== "_LearnableFakeQuantize") return args;
  return Object.fromEntries(Object.entries(args).filter(([name]) => !learnableArguments.some((own) => own === name)));
}

/** Bits that a range of codes asks for. */
export function bitsOfLimits({ min, max }: CodeLimits): number {
  return Math.max(1, Math.ceil(Math.log2(max - min + 1)));
}

/**
 * The quantization of a torch form, for tensors called `where` in errors.
 *
 * @throws ConfigError when the form contradicts itself, where torch would fail or continue with something else.
 *
 * @example
 * console.log(tensorQuantizationOf(defaultFakeQuant, "activation").bits); // 7: reduce_range halves the codes
 */
export function tensorQuantizationOf(form: FakeQuantizeForm, where: string): TensorQuantization {
  if (form.module === "APoTFakeQuantize") return apotQuantization(form, where);
  if (form.module === "IntxFakeQuantizer") return intxQuantization(form, where);
  const { observer, args, lostLimits } = resolveForm(form, where);
  const facts = torchObservers[observer];
  const fail = (message: string, remedy: string): never => {
    throw new ConfigError(message, { where, remedy });
  };
  for (const [name, value] of Object.entries(args)) {
    const known = [...ordinaryArguments, ...facts.extra].some((argument) => argument === name);
    if (value !== undefined && !known) fail(`${observer} takes no argument ${name}`, "Leave it out.");
  }
  const fused = form.module === "FusedMovingAvgObsFakeQuantize";
  if (fused && !observer.startsWith("MovingAverage")) {
    fail(`the fused module needs a moving average, not a ${observer}`, "Use FakeQuantize with this observer.");
  }
  const { dtype = "quint8", qscheme = facts.defaultQscheme, reduceRange = false } = args;
  if (qscheme === "per_channel_affine_float_qparams") {
    fail("float zero points are for embeddings, which have no fake quantization here", "Use per_channel_affine.");
  }
  if (dtype === "qint32" || dtype === "quint4x2") {
    fail(`dtype ${dtype} has no fake quantization`, "Use quint8 or qint8 with quant_min and quant_max.");
  }
  const perChannel = qscheme.startsWith("per_channel");
  if (perChannel !== facts.perChannel) {
    const other = facts.perChannel ? qscheme.replace("tensor", "channel") : qscheme.replace("channel", "tensor");
    fail(`${observer} cannot give ${qscheme}`, `Set qscheme to ${other}, or take the other kind of observer.`);
  }
  const symmetric = qscheme.endsWith("symmetric");
  if (dtype === "quint8" && symmetric && reduceRange) {
    fail("torch cannot reduce the range of a symmetric quint8 grid", "Set reduce_range to False.");
  }
  if (fused && perChannel && (args.chAxis ?? 0) !== 0) {
    fail("the fused module requires ch_axis 0", "Use FakeQuantize for another axis.");
  }
  const asked = askedLimits({ ...args, dtype }, where);
  calculateQuantLimits({ ...args, dtype, reduceRange }, where);
  const wanted = lostLimits === undefined ? asked : askedLimits({ ...lostLimits, dtype }, where);
  const ranges = facts.ranges(args);
  if (form.module === "_LearnableFakeQuantize") {
    return {
      quantizer: learnable.name,
      bits: bitsOfLimits(wanted),
      signed: dtype === "qint8",
      quantMin: asked.min,
      quantMax: asked.max,
      granularity: perChannel ? "channel" : "tensor",
      ...(perChannel ? { channelAxis: args.chAxis ?? 0 } : {}),
      options: {
        scheme: symmetric ? "symmetric" : "affine",
        gradientScale: form.args.useGradScaling === true ? "torch" : "none",
      },
    };
  }
  return {
    quantizer: "uniform",
    bits: bitsOfLimits(wanted),
    signed: dtype === "qint8",
    quantMin: asked.min,
    quantMax: asked.max,
    ...(reduceRange ? { reduceRange: true } : {}),
    granularity: perChannel ? "channel" : "tensor",
    ...(perChannel ? { channelAxis: args.chAxis ?? 0 } : {}),
    ...ranges,
    options: {
      ...quantizerOptions(fused, symmetric, dtype === "quint8", args, asked),
      ...("options" in ranges ? ranges.options : {}),
    },
  };
}

/** Symmetric unsigned codes have their zero in the middle: 128, or (qmin + qmax)//2 of limits that were given. */
function quantizerOptions(
  fused: boolean,
  symmetric: boolean,
  unsigned: boolean,
  args: ObserverArguments,
  asked: CodeLimits,
): QuantizerOptions {
  const zeroPoint = args.quantMin === undefined ? 128 : Math.floor((asked.min + asked.max) / 2);
  return {
    scheme: symmetric ? "symmetric" : "affine",
    ...(symmetric && unsigned ? { zeroPoint } : {}),
    ...(fused ? { convention: "fused" } : {}),
    // The fused kernel has a smallest scale of its own.
    ...(args.eps === undefined || fused ? {} : { eps: args.eps }),
  };
}

/** The arguments of torch's `prepare_qat` besides the QConfig, with its defaults. */
export interface PrepareOptions {
  /** `everyModule`: a model that was not fused; `fused`: one that was. */
  readonly placement?: Placement;
  readonly firstLayer?: LayerRule;
  readonly lastLayer?: LayerRule;
  readonly overrides?: readonly LayerOverride[];
}

/**
 * The configuration that a torch QConfig stands for. @throws ConfigError when it contradicts itself.
 *
 * @example
 * console.log(quantizationConfigOf(getDefaultQatQconfig()).weight?.quantizer); // uniform
 */
export function quantizationConfigOf(qconfig: QConfig, options: PrepareOptions = {}): QuantizationConfig {
  const { placement = "everyModule", firstLayer = "same", lastLayer = "same", overrides } = options;
  return {
    weight: qconfig.weight === null ? null : tensorQuantizationOf(qconfig.weight, "QConfig weight"),
    activation: qconfig.activation === null ? null : tensorQuantizationOf(qconfig.activation, "QConfig activation"),
    placement,
    firstLayer,
    lastLayer,
    residualBits: null,
    ...defined({ overrides }),
  };
}
