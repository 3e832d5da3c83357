/** The values of expressions in a script that configures torch. */
import type { SubbyteError } from "../../errors.ts";
import type { TorchDtype, TorchQscheme } from "./limits.ts";
import type { PythonNumber } from "./python/arithmetic.ts";
import type { At } from "./python/source.ts";
import type { Expression, FunctionSyntax } from "./python/syntax.ts";
import { type FakeQuantizeForm, type ObserverForm, QConfig } from "./torch.ts";

/** The source position of each argument of a form, by its name in torch; the last one counts. */
export type ArgumentPlaces = ReadonlyMap<string, At>;

/** Names with values, which statements change: a scope, or the attributes of an object. */
export type NameTable = Map<string, TorchValue>;

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
  /** The first position of the expression that made it; absent for one that torch has ready. */
  readonly at?: At;
  /** torchao's: only linear layers are quantized. */
  readonly linearOnly?: true;
  /** Parts that are taken for something near to them, in a sentence each. */
  readonly remarks?: readonly string[];
}

/** A function or lambda of the text. */
export interface FunctionValue {
  readonly kind: "function";
  readonly syntax: Pick<FunctionSyntax, "name" | "parameters"> &
    ({ readonly body: FunctionSyntax["body"] } | { readonly result: Expression });
  readonly scopes: readonly NameTable[];
  readonly self?: TorchValue;
  /** Whether it gets no `self` from an instance. */
  readonly isStatic?: true;
}

/** A class of the text. */
export interface ClassValue {
  readonly kind: "class";
  readonly name: string;
  readonly attributes: NameTable;
  readonly bases: readonly TorchValue[];
}

/** An instance of a class of the text. */
export interface ObjectValue {
  readonly kind: "object";
  readonly name: string;
  readonly type: ClassValue;
  readonly attributes: NameTable;
}

/** What is not evaluated: a model, a value of another module, the result of a call that is not read. */
export interface UnknownValue {
  readonly kind: "unknown";
  /** As errors and notes say it: `resnet18(…)`, `args.bits`. */
  readonly name: string;
  readonly at: At;
  readonly reason: string;
  /** The error that its evaluation ended with. */
  readonly error?: SubbyteError;
  /** Whether a number may be given for it with --define. */
  readonly isVariable: boolean;
  /** Also its identity: a value that is used in two places differs in its position. */
  readonly attributes: NameTable;
  /** A name that nothing in the text assigns, or one of its attributes: perhaps a module that is not imported here. */
  readonly isFree?: true;
  /** A name of another file of the user's, or one of its attributes. */
  readonly isImported?: true;
  /** The items of a model's modules(), over which a loop goes. */
  readonly isEachModule?: true;
}

/** One of several values, because a condition is not decided. */
export interface ChoiceValue {
  readonly kind: "choice";
  readonly options: readonly TorchValue[];
  /** The condition. */
  readonly at: At;
}

/** A QConfigMapping, or a quantizer of PT2E: "global" and one entry for each rule, such as "name fc". */
export interface MappingValue {
  readonly kind: "mapping";
  readonly rules: NameTable;
  readonly at: At;
}

/** A value that evaluating Python gives. */
export type TorchValue =
  | PythonNumber
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "truth"; readonly value: boolean }
  /** None, and `nn.Identity`: nothing is quantized. */
  | { readonly kind: "none" }
  | { readonly kind: "dtype"; readonly value: TorchDtype }
  | { readonly kind: "qscheme"; readonly value: TorchQscheme }
  | { readonly kind: "observer"; readonly form: ObserverForm; readonly places: ArgumentPlaces }
  | FormValue
  | QConfigValue
  /** A function or class of Python or torch that is evaluated here. */
  | { readonly kind: "builtin"; readonly name: string; readonly self?: TorchValue }
  | FunctionValue
  | ClassValue
  | ObjectValue
  | { readonly kind: "list"; readonly items: readonly TorchValue[]; readonly isTuple?: boolean }
  | { readonly kind: "dict"; readonly entries: readonly { readonly key: TorchValue; readonly value: TorchValue }[] }
  | { readonly kind: "module"; readonly path: readonly string[]; readonly at?: At }
  | MappingValue
  /** Small enumerations of torchao: PerGroup(32), MappingType.SYMMETRIC, torch.int4. */
  | { readonly kind: "word"; readonly name: string; readonly size?: number }
  | ChoiceValue
  | UnknownValue;

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
  builtin: "a function",
  function: "a function",
  class: "a class",
  object: "an object",
  list: "a list",
  dict: "a dict",
  module: "a module",
  mapping: "a QConfigMapping",
  word: "a word of torchao",
  choice: "one of several values",
  unknown: "something that is not evaluated",
};

const nowhere: ArgumentPlaces = new Map();

/** An observer without positions. */
export function observerValue(form: ObserverForm): TorchValue {
  return { kind: "observer", form, places: nowhere };
}

/** A fake-quantize module without positions. */
export function formValue(form: FakeQuantizeForm): FormValue {
  return { kind: "fakeQuantize", form, places: nowhere };
}

/** A QConfig that torch has made; its arguments have no place in the text. */
export function readyQConfig(activation: FakeQuantizeForm | null, weight: FakeQuantizeForm | null): QConfigValue {
  return {
    kind: "qconfig",
    qconfig: new QConfig({ activation, weight }),
    places: { activation: nowhere, weight: nowhere },
  };
}

/** What is not evaluated, with the reason. */
export function unknownValue(
  name: string,
  at: At,
  reason: string,
  more: Partial<Pick<UnknownValue, "error" | "isVariable" | "isEachModule" | "isFree" | "isImported">> = {},
): UnknownValue {
  return { kind: "unknown", name, at, reason, isVariable: false, attributes: new Map(), ...more };
}

/** Whether two values are the same for everything that is read from them. */
export function sameValue(a: TorchValue, b: TorchValue): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind) return false;
  switch (a.kind) {
    case "number":
    case "string":
    case "truth":
    case "dtype":
    case "qscheme":
      return (
        "value" in b && a.value === b.value && (a.kind !== "number" || (b.kind === "number" && a.integer === b.integer))
      );
    case "none":
      return true;
    case "unknown":
      return b.kind === "unknown" && a.attributes === b.attributes;
    case "word":
      return b.kind === "word" && a.name === b.name && a.size === b.size;
    case "observer":
    case "fakeQuantize":
      return (b.kind === "observer" || b.kind === "fakeQuantize") && sameData(a.form, b.form);
    case "qconfig":
      return b.kind === "qconfig" && sameData(a.qconfig, b.qconfig) && a.linearOnly === b.linearOnly;
    case "list":
      return (
        b.kind === "list" &&
        a.items.length === b.items.length &&
        a.items.every((item, index) => {
          const other = b.items[index];
          return other !== undefined && sameValue(item, other);
        })
      );
    default:
      return false;
  }
}

/** Forms and QConfigs are plain data, of which the keys may stand in any order. */
function sameData(a: unknown, b: unknown): boolean {
  return JSON.stringify(a, sortedKeys) === JSON.stringify(b, sortedKeys);
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** True or false as Python would take it in a condition; undefined where that is not known. */
export function truthOf(value: TorchValue): boolean | undefined {
  switch (value.kind) {
    case "truth":
      return value.value;
    case "number":
      return value.value !== 0;
    case "string":
      return value.value !== "";
    case "none":
      return false;
    case "list":
      return value.items.length > 0;
    case "dict":
      return value.entries.length > 0;
    case "choice": {
      const truths = new Set(value.options.map(truthOf));
      const [only] = truths;
      return truths.size === 1 ? only : undefined;
    }
    case "unknown":
    case "object":
    case "module":
      return undefined;
    default:
      return true;
  }
}
