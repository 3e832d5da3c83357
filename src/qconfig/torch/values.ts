/** The values of expressions in a torch configuration, and torch's names for them. */

import type { TorchDtype, TorchQscheme } from "./limits.ts";
import type { Token } from "./tokens.ts";
import {
  defaultFakeQuant,
  defaultFusedActFakeQuant,
  defaultFusedPerChannelWtFakeQuant,
  defaultFusedWtFakeQuant,
  defaultHistogramFakeQuant,
  defaultPerChannelWeightFakeQuant,
  defaultWeightFakeQuant,
  FakeQuantize,
  type FakeQuantizeForm,
  FusedMovingAvgObsFakeQuantize,
  HistogramObserver,
  MinMaxObserver,
  MovingAverageMinMaxObserver,
  MovingAveragePerChannelMinMaxObserver,
  type ObserverArguments,
  type ObserverForm,
  PerChannelMinMaxObserver,
  QConfig,
} from "./torch.ts";

/** The source position of each argument of a form, by its name in torch; the last one counts. */
export type ArgumentPlaces = ReadonlyMap<string, Token>;

/** A fake-quantize module of a QConfig, with the places of its arguments. */
export interface FormValue {
  readonly kind: "fakeQuantize";
  readonly form: FakeQuantizeForm;
  readonly places: ArgumentPlaces;
}

/** A QConfig with the source positions of its arguments. */
export interface QConfigValue {
  readonly kind: "qconfig";
  readonly qconfig: QConfig;
  readonly places: { readonly activation: ArgumentPlaces; readonly weight: ArgumentPlaces };
}

/** A value that evaluating Python gives. */
export type TorchValue =
  | { readonly kind: "number"; readonly value: number; readonly integer: boolean }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "truth"; readonly value: boolean }
  /** None, and `nn.Identity`: nothing is quantized. */
  | { readonly kind: "none" }
  | { readonly kind: "dtype"; readonly value: TorchDtype }
  | { readonly kind: "qscheme"; readonly value: TorchQscheme }
  | { readonly kind: "observer"; readonly form: ObserverForm; readonly places: ArgumentPlaces }
  | FormValue
  | QConfigValue
  /** A function that can be called: see torch-evaluate.ts. */
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "list"; readonly items: readonly TorchValue[] }
  /** Operations on models, on which no configuration depends. */
  | { readonly kind: "opaque" };

const nowhere: ArgumentPlaces = new Map();

function observer(form: ObserverForm): TorchValue {
  return { kind: "observer", form, places: nowhere };
}

function form(value: FakeQuantizeForm): TorchValue {
  return { kind: "fakeQuantize", form: value, places: nowhere };
}

/** A QConfig that torch has made; its arguments have no place in the text. */
export function readyQConfig(activation: FakeQuantizeForm | null, weight: FakeQuantizeForm | null): QConfigValue {
  return {
    kind: "qconfig",
    qconfig: new QConfig({ activation, weight }),
    places: { activation: nowhere, weight: nowhere },
  };
}

const dtypes: Readonly<Record<string, TorchDtype>> = {
  quint8: "quint8",
  qint8: "qint8",
  // Newer versions name the plain types.
  uint8: "quint8",
  int8: "qint8",
  qint32: "qint32",
  quint4x2: "quint4x2",
};

const qschemes: readonly TorchQscheme[] = [
  "per_tensor_affine",
  "per_tensor_symmetric",
  "per_channel_affine",
  "per_channel_symmetric",
  "per_channel_affine_float_qparams",
];

/** Functions that configurations call. */
export const torchFunctions: readonly string[] = [
  "QConfig",
  "get_default_qat_qconfig",
  "partial",
  "int",
  "float",
  "abs",
  "round",
  "pow",
  "min",
  "max",
];

/** Statements about a model before and after, which are skipped. `true`: it means that Conv, BN and ReLU were fused. */
export const modelCalls: ReadonlyMap<string, boolean> = new Map([
  ["prepare_qat", false],
  ["prepare_qat_fx", true],
  ["prepare", false],
  ["fuse_modules", true],
  ["fuse_modules_qat", true],
  ["fuse_fx", true],
  ["convert", false],
  ["train", false],
  ["eval", false],
  ["apply", false],
  ["print", false],
]);

/** torch's names, by the last part of their path: `torch.ao.quantization.FakeQuantize` is FakeQuantize. */
export const torchNames: ReadonlyMap<string, TorchValue> = new Map<string, TorchValue>([
  ["True", { kind: "truth", value: true }],
  ["False", { kind: "truth", value: false }],
  ["None", { kind: "none" }],
  ["Identity", { kind: "none" }],
  ...Object.entries(dtypes).map(([name, value]): [string, TorchValue] => [name, { kind: "dtype", value }]),
  ...qschemes.map((value): [string, TorchValue] => [value, { kind: "qscheme", value }]),
  ...[
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    PerChannelMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    HistogramObserver,
  ].map((value): [string, TorchValue] => [value.observer, observer(value)]),
  ["FakeQuantize", form(FakeQuantize)],
  ["FusedMovingAvgObsFakeQuantize", form(FusedMovingAvgObsFakeQuantize)],
  ["default_fake_quant", form(defaultFakeQuant)],
  ["default_weight_fake_quant", form(defaultWeightFakeQuant)],
  ["default_per_channel_weight_fake_quant", form(defaultPerChannelWeightFakeQuant)],
  ["default_histogram_fake_quant", form(defaultHistogramFakeQuant)],
  ["default_fused_act_fake_quant", form(defaultFusedActFakeQuant)],
  ["default_fused_wt_fake_quant", form(defaultFusedWtFakeQuant)],
  ["default_fused_per_channel_wt_fake_quant", form(defaultFusedPerChannelWtFakeQuant)],
  ["default_qat_qconfig", readyQConfig(defaultFakeQuant, defaultWeightFakeQuant)],
  ["default_qat_qconfig_v2", readyQConfig(defaultFusedActFakeQuant, defaultFusedWtFakeQuant)],
  ...torchFunctions.map((name): [string, TorchValue] => [name, { kind: "function", name }]),
]);

/** A keyword argument of torch: its name here, and the kind of value that it takes. */
export interface ArgumentFacts {
  readonly name: keyof ObserverArguments;
  readonly kind: "integer" | "number" | "truth" | "dtype" | "qscheme";
}

/** The keyword arguments of observers and fake-quantize modules, by their names in torch. */
export const torchArguments: ReadonlyMap<string, ArgumentFacts> = new Map<string, ArgumentFacts>([
  ["quant_min", { name: "quantMin", kind: "integer" }],
  ["quant_max", { name: "quantMax", kind: "integer" }],
  ["dtype", { name: "dtype", kind: "dtype" }],
  ["qscheme", { name: "qscheme", kind: "qscheme" }],
  ["reduce_range", { name: "reduceRange", kind: "truth" }],
  ["averaging_constant", { name: "averagingConstant", kind: "number" }],
  ["ch_axis", { name: "chAxis", kind: "integer" }],
  ["bins", { name: "bins", kind: "integer" }],
]);

/** Words for a kind of value, as errors say what was expected and what was got. */
export const kindWords: Readonly<Record<TorchValue["kind"] | "integer", string>> = {
  number: "a number",
  integer: "a whole number",
  string: "a text",
  truth: "True or False",
  none: "None",
  dtype: "a dtype such as torch.quint8",
  qscheme: "a qscheme such as torch.per_tensor_affine",
  observer: "an observer",
  fakeQuantize: "a fake-quantize module",
  qconfig: "a QConfig",
  function: "a function",
  list: "a list",
  opaque: "something that is not read here",
};
