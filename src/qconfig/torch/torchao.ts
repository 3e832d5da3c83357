/**
 * torchao's configurations of quantization-aware training: IntxFakeQuantizeConfig, QATConfig, and the configurations for
 * after training that stand for them (`_infer_fake_quantize_configs`). They quantize linear layers only.
 */
import { boundArguments, partOf, wrongKind } from "./arguments.ts";
import type { EvaluatedArgument, EvaluatedCall } from "./python/evaluate.ts";
import { notUnderstood, type TorchSource } from "./python/source.ts";
import { FakeQuantizeForm, type IntxArguments, QConfig } from "./torch.ts";
import { type FormValue, formValue, type QConfigValue, type TorchValue, unknownValue } from "./values.ts";

/** Calls a function of torchao; undefined where there is none of this name. */
export function torchaoCall(source: TorchSource, name: string, call: EvaluatedCall): TorchValue | undefined {
  switch (name) {
    case "IntxFakeQuantizeConfig":
    case "FakeQuantizeConfig":
      return intxConfig(source, call);
    case "QATConfig":
      return qatConfig(source, call);
    case "IntXQuantizationAwareTrainingConfig":
    case "intx_quantization_aware_training": {
      const parts = boundArguments(source, call, ["activation_config", "weight_config"]);
      return pairOf(call, formOf(source, parts.get("activation_config")), formOf(source, parts.get("weight_config")));
    }
    case "Int8DynamicActivationInt4WeightConfig":
      return dynamicInt4(source, call, "group_size", 32);
    case "Int8DynActInt4WeightQATQuantizer":
      return dynamicInt4(source, call, "groupsize", 256);
    case "Int8DynamicActivationIntxWeightConfig":
      return intxWeights(source, call, "weight_granularity", { granularity: "group", groupSize: 32 }, perTokenInt8);
    case "IntxWeightOnlyConfig":
      return intxWeights(source, call, "granularity", { granularity: "channel" }, null);
    case "Int4WeightOnlyConfig":
    case "Int4WeightOnlyQATQuantizer":
      throw notUnderstood(
        source,
        call.nameAt,
        "its codes differ between torchao's versions",
        "Write IntxFakeQuantizeConfig(torch.int4, group_size=…) for symmetric weights in groups.",
      );
    case "PerGroup":
    case "PerAxis": {
      const [size] = call.args;
      if (size !== undefined && size.value.kind !== "number") throw wrongKind(source, size.at, "number", size.value);
      return { kind: "word", name, ...(size?.value.kind === "number" ? { size: size.value.value } : {}) };
    }
    case "PerRow":
    case "PerToken":
    case "PerTensor":
      return { kind: "word", name };
    default:
      return undefined;
  }
}

const perTokenInt8: IntxArguments = { bits: 8, signed: true, granularity: "token", symmetric: false, learned: false };

function intxForm(intx: IntxArguments): FormValue {
  return formValue(new FakeQuantizeForm("IntxFakeQuantizer", { intx }));
}

const intxParameters = [
  "dtype",
  "granularity",
  "mapping_type",
  "scale_precision",
  "zero_point_precision",
  "zero_point_domain",
  "is_dynamic",
  "range_learning",
  "eps",
  "group_size",
  "is_symmetric",
] as const;

function intxConfig(source: TorchSource, call: EvaluatedCall): FormValue {
  const parts = boundArguments(source, call, intxParameters);
  const dtype = parts.get("dtype");
  if (dtype === undefined)
    throw notUnderstood(source, call.at, "IntxFakeQuantizeConfig lacks its dtype", "Give torch.int4, for example.");
  const intx: IntxArguments = {
    ...elementOf(source, dtype),
    ...granularityOf(source, call, parts.get("granularity"), parts.get("group_size")),
    symmetric: isSymmetric(source, call, parts.get("mapping_type"), parts.get("is_symmetric")),
    learned: truthGiven(source, parts.get("range_learning"), false),
  };
  if (intx.learned && truthGiven(source, parts.get("is_dynamic"), true)) {
    throw notUnderstood(source, call.nameAt, "range_learning=True needs is_dynamic=False", "Add is_dynamic=False.");
  }
  if (intx.granularity === "token" && intx.symmetric) {
    throw notUnderstood(
      source,
      call.nameAt,
      "torchao has no symmetric quantization per token",
      "Set is_symmetric to False.",
    );
  }
  const eps = parts.get("eps")?.value;
  const places = new Map(
    call.args.flatMap(({ keyword }) => (keyword === undefined ? [] : [[keyword.text, keyword] as const])),
  );
  const form = new FakeQuantizeForm("IntxFakeQuantizer", {
    intx,
    ...(eps?.kind === "number" ? { eps: eps.value } : {}),
  });
  return { kind: "fakeQuantize", form, places };
}

function truthGiven(source: TorchSource, argument: EvaluatedArgument | undefined, fallback: boolean): boolean {
  if (argument === undefined || argument.value.kind === "none") return fallback;
  if (argument.value.kind !== "truth") throw wrongKind(source, argument.at, "truth", argument.value);
  return argument.value.value;
}

function elementOf(source: TorchSource, { value, at }: EvaluatedArgument): Pick<IntxArguments, "bits" | "signed"> {
  if (value.kind === "dtype" && (value.value === "qint8" || value.value === "quint8")) {
    return { bits: 8, signed: value.value === "qint8" };
  }
  const [, unsigned, bits] = (value.kind === "word" ? /^(u?)int([1-7]|16)$/.exec(value.name) : null) ?? [];
  if (bits !== undefined) return { bits: Number(bits), signed: unsigned === "" };
  if (value.kind === "word")
    throw notUnderstood(
      source,
      at,
      "torchao quantizes to integers of 1 to 8 or 16 bits here",
      "Use torch.int4, for example.",
    );
  throw wrongKind(source, at, "dtype", value);
}

const granularityTexts: ReadonlyMap<string, IntxArguments["granularity"]> = new Map([
  ["per_token", "token"],
  ["per_channel", "channel"],
  ["per_group", "group"],
  ["per_tensor", "tensor"],
  ["PerToken", "token"],
  ["PerAxis", "channel"],
  ["PerRow", "channel"],
  ["PerGroup", "group"],
  ["PerTensor", "tensor"],
]);

function granularityOf(
  source: TorchSource,
  call: EvaluatedCall,
  argument: EvaluatedArgument | undefined,
  size: EvaluatedArgument | undefined,
): Pick<IntxArguments, "granularity" | "groupSize"> {
  const groupSize = size === undefined || size.value.kind === "none" ? undefined : numberOf(source, size);
  if (argument === undefined || argument.value.kind === "none") {
    if (groupSize !== undefined) return { granularity: "group", groupSize };
    throw notUnderstood(
      source,
      call.at,
      "IntxFakeQuantizeConfig lacks its granularity",
      'Give "per_channel", or group_size=32.',
    );
  }
  const { value, at } = argument;
  const text = value.kind === "string" ? value.value : value.kind === "word" ? value.name : undefined;
  const granularity = text === undefined ? undefined : granularityTexts.get(text);
  if (granularity === undefined) {
    if (text === undefined) throw wrongKind(source, at, "string", value);
    throw notUnderstood(
      source,
      at,
      "there is no such granularity",
      `There are: ${[...granularityTexts.keys()].slice(0, 4).join(", ")}.`,
    );
  }
  if (granularity !== "group") {
    if (groupSize !== undefined) throw notUnderstood(source, at, "it contradicts group_size", "Leave one of them out.");
    if (value.kind === "word" && granularity === "channel" && (value.size ?? 0) !== 0) {
      throw notUnderstood(source, at, "torchao takes axis 0 only", "Write PerAxis(0).");
    }
    return { granularity };
  }
  const own = value.kind === "word" ? value.size : groupSize;
  if (own === undefined) throw notUnderstood(source, at, "the size of its groups is missing", "Add group_size=32.");
  return { granularity, groupSize: own };
}

function numberOf(source: TorchSource, { value, at }: EvaluatedArgument): number {
  if (value.kind !== "number") throw wrongKind(source, at, "integer", value);
  return value.value;
}

function isSymmetric(
  source: TorchSource,
  call: EvaluatedCall,
  mapping: EvaluatedArgument | undefined,
  symmetric: EvaluatedArgument | undefined,
): boolean {
  if (mapping === undefined || mapping.value.kind === "none") return truthGiven(source, symmetric, true);
  if (symmetric !== undefined)
    throw notUnderstood(source, call.nameAt, "mapping_type and is_symmetric are both given", "Leave one of them out.");
  const { value, at } = mapping;
  if (value.kind !== "word") throw wrongKind(source, at, "word", value);
  if (value.name === "SYMMETRIC_NO_CLIPPING_ERR") {
    throw notUnderstood(
      source,
      at,
      "this rule for the scale is not one that subbyte has",
      "Use MappingType.SYMMETRIC.",
    );
  }
  return value.name === "SYMMETRIC";
}

function formOf(source: TorchSource, argument: EvaluatedArgument | undefined): FormValue | null {
  return argument === undefined ? null : partOf(source, argument);
}

const perTokenRemark =
  "torchao gives each token a range of its own; here one range serves the whole tensor, with the same number of levels";

function pairOf(call: EvaluatedCall, activation: FormValue | null, weight: FormValue | null): QConfigValue {
  const isPerToken = activation?.form.args.intx?.granularity === "token";
  return {
    kind: "qconfig",
    qconfig: new QConfig({ activation: activation?.form ?? null, weight: weight?.form ?? null }),
    places: { activation: activation?.places ?? new Map(), weight: weight?.places ?? new Map() },
    at: call.nameAt,
    linearOnly: true,
    ...(isPerToken ? { remarks: [perTokenRemark] } : {}),
  };
}

function qatConfig(source: TorchSource, call: EvaluatedCall): TorchValue {
  const parts = boundArguments(source, call, ["base_config", "activation_config", "weight_config", "step"]);
  const step = parts.get("step")?.value;
  if (step !== undefined && step.kind !== "string")
    throw wrongKind(source, parts.get("step")?.at ?? call.at, "string", step);
  if (step?.value === "convert") return unknownValue("QATConfig(…)", call.nameAt, "it converts, and prepares nothing");
  const base = parts.get("base_config");
  if (base === undefined || base.value.kind === "none") {
    return pairOf(call, formOf(source, parts.get("activation_config")), formOf(source, parts.get("weight_config")));
  }
  if (parts.has("activation_config") || parts.has("weight_config")) {
    throw notUnderstood(source, call.nameAt, "base_config is given together with another", "Leave one of them out.");
  }
  if (base.value.kind !== "qconfig") throw wrongKind(source, base.at, "qconfig", base.value);
  return base.value;
}

function dynamicInt4(source: TorchSource, call: EvaluatedCall, name: string, fallback: number): TorchValue {
  const size = call.args.find(({ keyword }, index) => keyword?.text === name || (keyword === undefined && index === 0));
  const groupSize = size === undefined ? fallback : numberOf(source, size);
  const weight = intxForm({ bits: 4, signed: true, granularity: "group", groupSize, symmetric: true, learned: false });
  return pairOf(call, intxForm(perTokenInt8), weight);
}

function intxWeights(
  source: TorchSource,
  call: EvaluatedCall,
  granularityName: string,
  fallback: Pick<IntxArguments, "granularity" | "groupSize">,
  activation: IntxArguments | null,
): TorchValue {
  const names = [
    "weight_dtype",
    granularityName,
    "weight_mapping_type",
    "mapping_type",
    "version",
    "intx_packing_format",
  ];
  const parts = boundArguments(source, call, names);
  const dtype = parts.get("weight_dtype");
  const element = dtype === undefined ? { bits: 8, signed: true } : elementOf(source, dtype);
  const given = parts.get(granularityName);
  const granularity = given === undefined ? fallback : granularityOf(source, call, given, undefined);
  const symmetric = isSymmetric(source, call, parts.get("weight_mapping_type") ?? parts.get("mapping_type"), undefined);
  const weight = intxForm({ ...element, ...granularity, symmetric, learned: false });
  return pairOf(call, activation === null ? null : intxForm(activation), weight);
}
