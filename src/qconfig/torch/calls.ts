/** torch's functions that make configurations: QConfig, the defaults of a backend, mappings, `with_args`. */
import type { ConfigError } from "../../errors.ts";
import { boundArguments, formArguments, partOf, wrongKind } from "./arguments.ts";
import { pytorchExportCall } from "./pt2e.ts";
import type { EvaluatedCall } from "./python/evaluate.ts";
import { notUnderstood, type TorchSource } from "./python/source.ts";
import type { State } from "./python/state.ts";
import { getDefaultQatQconfig, QConfig } from "./torch.ts";
import { torchaoCall } from "./torchao.ts";
import {
  type MappingValue,
  type NameTable,
  type QConfigValue,
  readyQConfig,
  type TorchValue,
  unknownValue,
} from "./values.ts";

/** Calls one of torch's functions; undefined where there is none of this name. @throws ConfigError for arguments that torch refuses. */
export function callTorch(source: TorchSource, name: string, call: EvaluatedCall): TorchValue | undefined {
  switch (name) {
    case "QConfig":
      return qconfigOf(source, call);
    case "get_default_qat_qconfig":
      return defaultQconfig(source, call);
    case "get_default_qat_qconfig_mapping":
    case "get_default_qat_qconfig_dict":
      return mappingOf(call, [["global", defaultQconfig(source, call)]]);
    case "QConfigMapping":
      return mappingOf(call, []);
    case "partial": {
      const [first, ...rest] = call.args;
      if (first === undefined) throw notUnderstood(source, call.at, "partial needs a class");
      const { value } = first;
      if (value.kind !== "observer" && value.kind !== "fakeQuantize")
        return unknownValue("partial(…)", call.at, "it is not evaluated");
      return formArguments(source, value, rest);
    }
    default:
      return pytorchExportCall(source, name, call) ?? torchaoCall(source, name, call);
  }
}

function mappingOf(call: EvaluatedCall, rules: readonly [string, TorchValue][]): MappingValue {
  return { kind: "mapping", rules: new Map(rules), at: call.nameAt };
}

function qconfigOf(source: TorchSource, call: EvaluatedCall): QConfigValue {
  const parts = boundArguments(source, call, ["activation", "weight"]);
  const [activation, weight] = ["activation", "weight"].map((name) => {
    const part = parts.get(name);
    if (part === undefined) throw notUnderstood(source, call.at, `QConfig lacks its ${name}`, `Add ${name}=….`);
    return partOf(source, part);
  });
  return {
    kind: "qconfig",
    qconfig: new QConfig({ activation: activation?.form ?? null, weight: weight?.form ?? null }),
    places: { activation: activation?.places ?? new Map(), weight: weight?.places ?? new Map() },
    at: call.nameAt,
  };
}

function defaultQconfig(source: TorchSource, call: EvaluatedCall): TorchValue {
  const parts = boundArguments(source, call, ["backend", "version"]);
  const backend = parts.get("backend");
  if (backend !== undefined && backend.value.kind !== "string")
    throw wrongKind(source, backend.at, "string", backend.value);
  const version = parts.get("version");
  if (version !== undefined && version.value.kind !== "number")
    throw wrongKind(source, version.at, "number", version.value);
  const number = version?.value.kind === "number" ? version.value.value : 1;
  if (version !== undefined && number !== 0 && number !== 1) {
    throw notUnderstood(source, version.at, "there are version 0 (classic) and version 1 (fused)");
  }
  const name = backend?.value.kind === "string" ? backend.value.value : undefined;
  const { activation, weight } = getDefaultQatQconfig(name, number === 0 ? 0 : 1);
  return { ...readyQConfig(activation, weight), at: call.nameAt };
}

/** The rules that methods of a mapping or of a PT2E quantizer set, and the kind of their selector; null for the global rule. */
const setters: ReadonlyMap<string, string | null> = new Map([
  ["set_global", null],
  ["set_object_type", "type"],
  ["set_module_type", "type"],
  ["set_operator_type", "type"],
  ["set_module_name", "name"],
  ["set_module_name_regex", "pattern"],
  ["set_module_name_object_type_order", "order"],
]);

/** Calls a method of a value of torch; undefined where it has none of that name. */
export function callTorchMethod(
  source: TorchSource,
  state: State,
  object: TorchValue,
  method: string,
  call: EvaluatedCall,
): TorchValue | undefined {
  if (method === "with_args" && (object.kind === "observer" || object.kind === "fakeQuantize")) {
    return formArguments(source, object, call.args);
  }
  if (method === "from_dict" && object.kind === "builtin") {
    const [dict] = call.args;
    const rules = dict === undefined ? undefined : rulesOfDict(dict.value);
    return rules === undefined ? undefined : { kind: "mapping", rules, at: call.nameAt };
  }
  if (object.kind !== "mapping") return undefined;
  const selector = setters.get(method);
  if (selector === undefined) return method === "to_dict" ? object : undefined;
  const values = call.args.map(({ value }) => value);
  const [first, last] = [values[0], values.at(-1)];
  if (first === undefined || last === undefined) throw notUnderstood(source, call.at, `${method} needs an argument`);
  state.set(object.rules, selector === null ? "global" : `${selector} ${selectorText(first)}`, last);
  return object;
}

/** A module's name, or the last part of a type's. */
function selectorText(value: TorchValue): string {
  if (value.kind === "string") return value.value;
  if (value.kind === "module") return value.path.at(-1) ?? "";
  if (value.kind === "unknown") return value.name.split(".").at(-1) ?? value.name;
  return value.kind === "builtin" || value.kind === "class" ? value.name : value.kind;
}

/** The keys of the old `qconfig_dict`, and the kind of selector of each. */
const dictKeys: ReadonlyMap<string, string> = new Map([
  ["object_type", "type"],
  ["module_name", "name"],
  ["module_name_regex", "pattern"],
  ["module_name_object_type_order", "order"],
]);

/** The rules of `{"": qconfig, "module_name": [("fc", None)]}`; undefined for a dict that is no such one. */
export function rulesOfDict(value: TorchValue): NameTable | undefined {
  if (value.kind !== "dict") return undefined;
  const rules: NameTable = new Map();
  for (const { key, value: inner } of value.entries) {
    if (key.kind !== "string") return undefined;
    if (key.value === "") {
      if (!isRule(inner)) return undefined;
      rules.set("global", inner);
      continue;
    }
    const selector = dictKeys.get(key.value);
    if (selector === undefined || inner.kind !== "list") return undefined;
    for (const item of inner.items) {
      const [first, last] = item.kind === "list" ? [item.items[0], item.items.at(-1)] : [];
      if (first === undefined || last === undefined) return undefined;
      rules.set(`${selector} ${selectorText(first)}`, last);
    }
  }
  return rules.size === 0 ? undefined : rules;
}

function isRule(value: TorchValue): boolean {
  return ["qconfig", "none", "choice", "unknown"].includes(value.kind);
}

/** The error for a class that is called where a form is expected. */
export function instanceError(source: TorchSource, call: EvaluatedCall): ConfigError {
  return notUnderstood(
    source,
    { ...call.nameAt },
    "this makes an instance, but a QConfig expects a class",
    `Write ${call.nameAt.text}.with_args(…).`,
  );
}
