/**
 * The configurations of PyTorch 2's export path (PT2E): QuantizationSpec, QuantizationConfig, and what XNNPACK's and X86
 * Inductor's quantizers have ready. A spec's fields go over the arguments of its fake-quantize module, as
 * `_create_obs_or_fq_from_qspec` passes them.
 */
import { boundArguments, formArguments, partOf, wrongKind } from "./arguments.ts";
import type { EvaluatedArgument, EvaluatedCall } from "./python/evaluate.ts";
import { type At, notUnderstood, type TorchSource } from "./python/source.ts";
import {
  FakeQuantize,
  type FakeQuantizeForm,
  FusedMovingAvgObsFakeQuantize,
  HistogramObserver,
  MinMaxObserver,
  MovingAverageMinMaxObserver,
  MovingAveragePerChannelMinMaxObserver,
  PerChannelMinMaxObserver,
  perChannelSymmetric,
  perTensorAffine,
  perTensorSymmetric,
  QConfig,
  qint8,
  quint8,
} from "./torch.ts";
import { type FormValue, formValue, type QConfigValue, readyQConfig, type TorchValue } from "./values.ts";

/** Calls a function of the export path; undefined where there is none of this name. */
export function pytorchExportCall(source: TorchSource, name: string, call: EvaluatedCall): TorchValue | undefined {
  switch (name) {
    case "QuantizationSpec":
      return specOf(source, call);
    case "QuantizationConfig":
      return configOf(source, call);
    case "get_symmetric_quantization_config":
      return symmetricConfig(source, call);
    case "get_default_x86_inductor_quantization_config":
      return inductorConfig(source, call);
    case "XNNPACKQuantizer":
    case "X86InductorQuantizer":
      return { kind: "mapping", rules: new Map(), at: call.nameAt };
    default:
      return undefined;
  }
}

const specFields = [
  "dtype",
  "observer_or_fake_quant_ctr",
  "quant_min",
  "quant_max",
  "qscheme",
  "ch_axis",
  "is_dynamic",
] as const;

function specOf(source: TorchSource, call: EvaluatedCall): FormValue {
  const parts = boundArguments(source, call, specFields);
  const made = parts.get("observer_or_fake_quant_ctr");
  if (made === undefined) {
    throw notUnderstood(
      source,
      call.at,
      "QuantizationSpec lacks its observer_or_fake_quant_ctr",
      "Add observer_or_fake_quant_ctr=….",
    );
  }
  const { value } = made;
  // An observer alone, for quantization after training, has the codes and the scheme that training would have.
  const base: TorchValue =
    value.kind === "observer"
      ? { kind: "fakeQuantize", form: FakeQuantize.withArgs({ observer: value.form }), places: value.places }
      : value;
  if (base.kind !== "fakeQuantize") throw wrongKind(source, made.at, "fakeQuantize", base);
  const dynamic = parts.get("is_dynamic")?.value;
  const isPerChannel = isObserverPerChannel(base.form);
  const args = [...parts].flatMap(([key, argument]): EvaluatedArgument[] => {
    if (key === "observer_or_fake_quant_ctr" || key === "is_dynamic") return [];
    if (key === "ch_axis" && !isPerChannel) return [];
    const keyword: At = argument.keyword ?? { ...argument.at, text: key };
    return [{ ...argument, keyword }];
  });
  const form = formArguments(source, base, args);
  if (form.kind !== "fakeQuantize") throw wrongKind(source, made.at, "fakeQuantize", form);
  if (dynamic?.kind !== "truth" || !dynamic.value) return form;
  // A dynamic range is that of the values at hand: a moving average that keeps nothing.
  return { ...form, form: form.form.withArgs({ averagingConstant: 1 }) };
}

function isObserverPerChannel({ args }: FakeQuantizeForm): boolean {
  const name = args.observer?.observer;
  return name === "PerChannelMinMaxObserver" || name === "MovingAveragePerChannelMinMaxObserver";
}

function configOf(source: TorchSource, call: EvaluatedCall): QConfigValue {
  const parts = boundArguments(source, call, ["input_activation", "output_activation", "weight", "bias", "is_qat"]);
  const part = (name: string) => {
    const argument = parts.get(name);
    return argument === undefined ? null : partOf(source, argument);
  };
  const [activation, weight] = [part("input_activation"), part("weight")];
  return {
    kind: "qconfig",
    qconfig: new QConfig({ activation: activation?.form ?? null, weight: weight?.form ?? null }),
    places: { activation: activation?.places ?? new Map(), weight: weight?.places ?? new Map() },
    at: call.nameAt,
  };
}

/** Arguments that are numbers or True and False, with their defaults. */
function plainArguments(
  source: TorchSource,
  call: EvaluatedCall,
  defaults: Readonly<Record<string, number | boolean>>,
): Readonly<Record<string, number | boolean>> {
  const parts = boundArguments(source, call, Object.keys(defaults));
  return Object.fromEntries(
    Object.entries(defaults).map(([name, fallback]) => {
      const argument = parts.get(name);
      if (argument === undefined) return [name, fallback];
      const { value, at } = argument;
      const kind = typeof fallback === "number" ? "number" : "truth";
      if (value.kind !== kind) throw wrongKind(source, at, kind, value);
      return [name, value.value];
    }),
  );
}

/** `get_symmetric_quantization_config` of xnnpack_quantizer.py: the defaults, limits and observers that it has. */
function symmetricConfig(source: TorchSource, call: EvaluatedCall): TorchValue {
  const given = plainArguments(source, call, {
    is_per_channel: false,
    is_qat: false,
    is_dynamic: false,
    act_qmin: -128,
    act_qmax: 127,
    weight_qmin: -127,
    weight_qmax: 127,
  });
  const isPerChannel = given.is_per_channel === true;
  const isQat = given.is_qat === true;
  const eps = 2 ** -12;
  const activation = activationForm(isQat, given.is_dynamic === true).withArgs({
    eps,
    dtype: qint8,
    quantMin: Number(given.act_qmin),
    quantMax: Number(given.act_qmax),
    qscheme: perTensorAffine,
  });
  const weight = weightForm(isQat, isPerChannel).withArgs({
    eps,
    dtype: qint8,
    quantMin: Number(given.weight_qmin),
    quantMax: Number(given.weight_qmax),
    qscheme: isPerChannel ? perChannelSymmetric : perTensorSymmetric,
  });
  return { ...readyQConfig(formValue(activation).form, weight), at: call.nameAt };
}

function activationForm(isQat: boolean, isDynamic: boolean): FakeQuantizeForm {
  if (isDynamic) return FakeQuantize.withArgs({ observer: MovingAverageMinMaxObserver, averagingConstant: 1 });
  return isQat
    ? FusedMovingAvgObsFakeQuantize.withArgs({ observer: MovingAverageMinMaxObserver })
    : FakeQuantize.withArgs({ observer: HistogramObserver });
}

function weightForm(isQat: boolean, isPerChannel: boolean): FakeQuantizeForm {
  if (isQat) {
    const observer = isPerChannel ? MovingAveragePerChannelMinMaxObserver : MovingAverageMinMaxObserver;
    return FusedMovingAvgObsFakeQuantize.withArgs({ observer });
  }
  return FakeQuantize.withArgs({ observer: isPerChannel ? PerChannelMinMaxObserver : MinMaxObserver });
}

/** `get_default_x86_inductor_quantization_config` of x86_inductor_quantizer.py. */
function inductorConfig(source: TorchSource, call: EvaluatedCall): TorchValue {
  const given = plainArguments(source, call, { is_qat: false, is_dynamic: false, reduce_range: false });
  const eps = 2 ** -12;
  const isQat = given.is_qat === true;
  const activation = activationForm(isQat, given.is_dynamic === true).withArgs({
    eps,
    dtype: quint8,
    quantMin: 0,
    quantMax: given.reduce_range === true ? 127 : 255,
    qscheme: perTensorAffine,
  });
  const weight = weightForm(isQat, true).withArgs({
    eps,
    dtype: qint8,
    quantMin: -128,
    quantMax: 127,
    qscheme: perChannelSymmetric,
  });
  return { ...readyQConfig(activation, weight), at: call.nameAt };
}
