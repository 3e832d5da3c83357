/** torch's names, by the last part of their path: `torch.ao.quantization.FakeQuantize` is FakeQuantize. */
import type { TorchDtype, TorchQscheme } from "./limits.ts";
import { pythonFunctions } from "./python/builtins.ts";
import {
  APoTFakeQuantize,
  defaultDynamicFakeQuant,
  defaultFakeQuant,
  defaultFusedActFakeQuant,
  defaultFusedPerChannelWtFakeQuant,
  defaultFusedWtFakeQuant,
  defaultHistogramFakeQuant,
  defaultPerChannelWeightFakeQuant,
  defaultWeightFakeQuant,
  FakeQuantize,
  type FakeQuantizeArguments,
  FusedMovingAvgObsFakeQuantize,
  fusedNarrowPerChannelWtFakeQuant,
  fusedNarrowWtFakeQuant,
  HistogramObserver,
  LearnableFakeQuantize,
  MinMaxObserver,
  MovingAverageMinMaxObserver,
  MovingAveragePerChannelMinMaxObserver,
  PerChannelMinMaxObserver,
  symmetricQnnpackActivation,
} from "./torch.ts";
import { formValue, observerValue, readyQConfig, type TorchValue } from "./values.ts";

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

/** Words without a value of their own: element types below eight bits, torchao's granularities and mappings. */
const words: readonly string[] = [
  ...Array.from({ length: 7 }, (_, i) => [`int${i + 1}`, `uint${i + 1}`]).flat(),
  "int16",
  "int32",
  "uint16",
  "float16",
  "float32",
  "bfloat16",
  "SYMMETRIC",
  "SYMMETRIC_NO_CLIPPING_ERR",
  "ASYMMETRIC",
];

/** Functions and classes of torch and torchao that are evaluated. */
const torchFunctions: readonly string[] = [
  "QConfig",
  "get_default_qat_qconfig",
  "get_default_qat_qconfig_mapping",
  "get_default_qat_qconfig_dict",
  "QConfigMapping",
  "partial",
  "QuantizationSpec",
  "QuantizationConfig",
  "get_symmetric_quantization_config",
  "get_default_x86_inductor_quantization_config",
  "XNNPACKQuantizer",
  "X86InductorQuantizer",
  "IntxFakeQuantizeConfig",
  "FakeQuantizeConfig",
  "QATConfig",
  "IntXQuantizationAwareTrainingConfig",
  "intx_quantization_aware_training",
  "Int8DynamicActivationInt4WeightConfig",
  "Int8DynamicActivationIntxWeightConfig",
  "IntxWeightOnlyConfig",
  "Int4WeightOnlyConfig",
  "Int8DynActInt4WeightQATQuantizer",
  "Int4WeightOnlyQATQuantizer",
  "PerGroup",
  "PerAxis",
  "PerRow",
  "PerToken",
  "PerTensor",
];

/** Operations on models. `true`: they mean that Conv, BN and ReLU were fused. */
export const modelCalls: ReadonlyMap<string, { readonly prepares: boolean; readonly fuses: boolean }> = new Map([
  ["prepare_qat", { prepares: true, fuses: false }],
  ["prepare_qat_fx", { prepares: true, fuses: true }],
  ["prepare_qat_pt2e", { prepares: true, fuses: true }],
  ["prepare_pt2e", { prepares: true, fuses: true }],
  ["propagate_qconfig_", { prepares: true, fuses: false }],
  ["prepare", { prepares: true, fuses: false }],
  ["prepare_fx", { prepares: true, fuses: true }],
  ["quantize_", { prepares: true, fuses: true }],
  ["quantize_qat", { prepares: true, fuses: false }],
  ["fuse_modules", { prepares: false, fuses: true }],
  ["fuse_modules_qat", { prepares: false, fuses: true }],
  ["fuse_fx", { prepares: false, fuses: true }],
  ["fuse_model", { prepares: false, fuses: true }],
]);

function builtin(name: string): [string, TorchValue] {
  return [name, { kind: "builtin", name }];
}

const identity: TorchValue = { kind: "none" };

/** torch's names. */
export const torchNames: ReadonlyMap<string, TorchValue> = new Map<string, TorchValue>([
  ["Identity", identity],
  ...Object.entries(dtypes).map(([name, value]): [string, TorchValue] => [name, { kind: "dtype", value }]),
  ...qschemes.map((value): [string, TorchValue] => [value, { kind: "qscheme", value }]),
  ...words.map((name): [string, TorchValue] => [name, { kind: "word", name }]),
  ...[
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    PerChannelMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    HistogramObserver,
  ].map((value): [string, TorchValue] => [value.observer, observerValue(value)]),
  ...Object.entries({
    FakeQuantize,
    FusedMovingAvgObsFakeQuantize,
    _LearnableFakeQuantize: LearnableFakeQuantize,
    APoTFakeQuantize,
    default_fake_quant: defaultFakeQuant,
    default_weight_fake_quant: defaultWeightFakeQuant,
    default_per_channel_weight_fake_quant: defaultPerChannelWeightFakeQuant,
    default_histogram_fake_quant: defaultHistogramFakeQuant,
    default_dynamic_fake_quant: defaultDynamicFakeQuant,
    default_fused_act_fake_quant: defaultFusedActFakeQuant,
    default_fused_wt_fake_quant: defaultFusedWtFakeQuant,
    default_fused_per_channel_wt_fake_quant: defaultFusedPerChannelWtFakeQuant,
    fused_wt_fake_quant_range_neg_127_to_127: fusedNarrowWtFakeQuant,
    fused_per_channel_wt_fake_quant_range_neg_127_to_127: fusedNarrowPerChannelWtFakeQuant,
  }).map(([name, form]): [string, TorchValue] => [name, formValue(form)]),
  ["default_qat_qconfig", readyQConfig(defaultFakeQuant, defaultWeightFakeQuant)],
  ["default_dynamic_qat_qconfig", readyQConfig(defaultDynamicFakeQuant, defaultWeightFakeQuant)],
  ["default_weight_only_qconfig", readyQConfig(null, defaultWeightFakeQuant)],
  ["default_activation_only_qconfig", readyQConfig(defaultFakeQuant, null)],
  ["default_qat_qconfig_v2", readyQConfig(defaultFusedActFakeQuant, defaultFusedWtFakeQuant)],
  ["default_symmetric_qnnpack_qat_qconfig", readyQConfig(symmetricQnnpackActivation, fusedNarrowWtFakeQuant)],
  [
    "default_per_channel_symmetric_qnnpack_qat_qconfig",
    readyQConfig(symmetricQnnpackActivation, fusedNarrowPerChannelWtFakeQuant),
  ],
  ...torchFunctions.map(builtin),
]);

/** Names that need no import. */
export const plainNames: ReadonlyMap<string, TorchValue> = new Map([...torchNames, ...pythonFunctions.map(builtin)]);

/** A keyword argument of torch: its name here, and the kind of value that it takes. */
export interface ArgumentFacts {
  readonly name: keyof FakeQuantizeArguments;
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
  ["eps", { name: "eps", kind: "number" }],
]);

/** Those of single modules. */
export const moduleArguments: Readonly<Record<string, ReadonlyMap<string, ArgumentFacts>>> = {
  [LearnableFakeQuantize.module]: new Map<string, ArgumentFacts>([
    ["scale", { name: "scale", kind: "number" }],
    ["zero_point", { name: "zeroPoint", kind: "number" }],
    ["channel_len", { name: "channelLen", kind: "integer" }],
    ["use_grad_scaling", { name: "useGradScaling", kind: "truth" }],
  ]),
  [APoTFakeQuantize.module]: new Map<string, ArgumentFacts>([
    ["b", { name: "b", kind: "integer" }],
    ["k", { name: "k", kind: "integer" }],
  ]),
};
