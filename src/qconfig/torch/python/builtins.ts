/** Python's own functions and methods, as far as scripts around a configuration need them. */
import { sameValue, type TorchValue, truthOf, unknownValue } from "../values.ts";
import { numericFunction, type PythonNumber, pythonNumber, pythonText } from "./arithmetic.ts";
import type { At } from "./source.ts";

const longestRange = 4096;

/** A value as `str()` and f-strings write it; undefined where that is not known. */
export function textOf(value: TorchValue): string | undefined {
  switch (value.kind) {
    case "string":
      return value.value;
    case "number":
      return value.integer ? String(value.value) : pythonText(value.value);
    case "truth":
      return value.value ? "True" : "False";
    case "none":
      return "None";
    default:
      return undefined;
  }
}

function isPlain(value: TorchValue): boolean {
  return ["number", "string", "truth", "none", "dtype", "qscheme", "word"].includes(value.kind);
}

/** The truth of a comparison; undefined where it is not known. */
export function compared(operator: string, left: TorchValue, right: TorchValue): boolean | undefined {
  switch (operator) {
    case "==":
    case "is":
      return equal(left, right);
    case "!=":
    case "is not":
      return negated(equal(left, right));
    case "in":
      return contains(right, left);
    case "not in":
      return negated(contains(right, left));
  }
  if (left.kind !== "number" || right.kind !== "number") return undefined;
  const [a, b] = [left.value, right.value];
  return operator === "<" ? a < b : operator === "<=" ? a <= b : operator === ">" ? a > b : a >= b;
}

function negated(truth: boolean | undefined): boolean | undefined {
  return truth === undefined ? undefined : !truth;
}

function equal(left: TorchValue, right: TorchValue): boolean | undefined {
  if (left.kind === "number" && right.kind === "number") return left.value === right.value;
  if (isPlain(left) && isPlain(right)) return sameValue(left, right);
  // None is nothing that the text makes.
  const kinds = [left.kind, right.kind];
  const isMade = (kind: string) => !["none", "unknown", "choice"].includes(kind);
  if (kinds.includes("none") && kinds.some(isMade)) return false;
  return undefined;
}

function contains(container: TorchValue, item: TorchValue): boolean | undefined {
  if (container.kind === "string" && item.kind === "string") return container.value.includes(item.value);
  const items =
    container.kind === "list"
      ? container.items
      : container.kind === "dict"
        ? container.entries.map(({ key }) => key)
        : undefined;
  if (items === undefined) return undefined;
  const truths = items.map((other) => equal(other, item));
  return truths.includes(true) ? true : truths.includes(undefined) ? undefined : false;
}

/** `object[index]`; undefined where it is not known. */
export function indexed(object: TorchValue, index: TorchValue): TorchValue | undefined {
  if (object.kind === "list" && index.kind === "number") return object.items.at(index.value);
  if (object.kind !== "dict" || !isPlain(index)) return undefined;
  if (object.entries.some(({ key }) => !isPlain(key))) return undefined;
  return object.entries.findLast(({ key }) => equal(key, index) === true)?.value;
}

/** A dict with one entry more, or another value for its key. */
export function withEntry(dict: Extract<TorchValue, { kind: "dict" }>, key: TorchValue, value: TorchValue): TorchValue {
  const others = dict.entries.filter((entry) => !sameValue(entry.key, key));
  return { kind: "dict", entries: [...others, { key, value }] };
}

/** A list or dict after one of its methods; unknown where the method is not evaluated, the same where it changes nothing. */
export function changedBy(
  owner: Extract<TorchValue, { kind: "list" | "dict" }>,
  name: string,
  args: readonly TorchValue[],
  at: At,
): TorchValue {
  const [first] = args;
  if (methodOf(owner, name) !== undefined) return owner;
  if (owner.kind === "list" && name === "append" && first !== undefined)
    return { ...owner, items: [...owner.items, first] };
  if (owner.kind === "list" && name === "extend" && first?.kind === "list") {
    return { ...owner, items: [...owner.items, ...first.items] };
  }
  if (owner.kind === "dict" && name === "update" && first?.kind === "dict") {
    return first.entries.reduce<TorchValue>(
      (dict, { key, value }) => (dict.kind === "dict" ? withEntry(dict, key, value) : dict),
      owner,
    );
  }
  return unknownValue(at.text, at, `the ${owner.kind} is not known after this`);
}

const stringMethods = new Set(["lower", "upper", "strip", "split", "startswith", "endswith", "replace", "format"]);
const dictMethods = new Set(["get", "items", "keys", "values", "copy"]);
const listMethods = new Set(["copy", "index", "count"]);

/** A method of a text, a dict or a list, bound to it. */
export function methodOf(object: TorchValue, name: string): TorchValue | undefined {
  const methods =
    object.kind === "string"
      ? stringMethods
      : object.kind === "dict"
        ? dictMethods
        : object.kind === "list"
          ? listMethods
          : undefined;
  return methods?.has(name) === true ? { kind: "builtin", name: `.${name}`, self: object } : undefined;
}

/** Python's functions that are evaluated. */
export const pythonFunctions: readonly string[] = [
  "int",
  "float",
  "abs",
  "round",
  "pow",
  "min",
  "max",
  "len",
  "range",
  "str",
  "bool",
  "list",
  "tuple",
  "dict",
  "enumerate",
  "zip",
  "reversed",
  "sorted",
  "print",
  "isinstance",
  "hasattr",
  "super",
  "deepcopy",
];

const numeric = new Set(["int", "float", "abs", "round", "pow", "min", "max"]);

/** The arguments of a call by position and by keyword. */
export interface PlainArguments {
  readonly positional: readonly TorchValue[];
  readonly named: readonly (readonly [string, TorchValue])[];
}

/**
 * The result of one of Python's functions; unknown where an argument is, undefined where Python would fail.
 *
 * @param self The value that a method, with a name such as `.get`, is called on.
 */
export function callPython(name: string, args: PlainArguments, at: At, self?: TorchValue): TorchValue | undefined {
  const unknown = (): TorchValue => unknownValue(`${name.replace(/^\./, "….")}(…)`, at, "its arguments are not known");
  const { positional, named } = args;
  if (self !== undefined) return callMethod(name.slice(1), self, positional) ?? unknown();
  const [first, second] = positional;
  if (numeric.has(name)) {
    if (first?.kind === "string" && (name === "int" || name === "float")) return fromText(name, first.value);
    const items = first?.kind === "list" && positional.length === 1 ? first.items : positional;
    if (items.some(({ kind }) => kind === "unknown" || kind === "choice")) return unknown();
    const numbers = items.flatMap((value): PythonNumber[] =>
      value.kind === "number" ? [value] : value.kind === "truth" ? [pythonNumber(Number(value.value), true)] : [],
    );
    return numbers.length === items.length ? numericFunction(name, numbers) : undefined;
  }
  switch (name) {
    case "len":
      return lengthOf(first) ?? unknown();
    case "range":
      return rangeOf(positional) ?? unknown();
    case "str": {
      const text = first === undefined ? "" : textOf(first);
      return text === undefined ? unknown() : { kind: "string", value: text };
    }
    case "bool": {
      const truth = first === undefined ? false : truthOf(first);
      return truth === undefined ? unknown() : { kind: "truth", value: truth };
    }
    case "list":
    case "tuple": {
      if (first === undefined) return { kind: "list", items: [] };
      const items = itemsOf(first);
      return items === undefined ? unknown() : { kind: "list", items };
    }
    case "dict": {
      if (first !== undefined && first.kind !== "dict") return unknown();
      const entries = named.map(([key, value]) => ({ key: { kind: "string", value: key } as const, value }));
      return { kind: "dict", entries: [...(first?.entries ?? []), ...entries] };
    }
    case "enumerate": {
      const items = first === undefined ? undefined : itemsOf(first);
      return items === undefined
        ? unknown()
        : { kind: "list", items: items.map((item, index) => pair(pythonNumber(index, true), item)) };
    }
    case "zip": {
      const lists = positional.map(itemsOf);
      const known = lists.filter((list) => list !== undefined);
      if (known.length !== lists.length || known.length === 0) return unknown();
      const length = Math.min(...known.map((list) => list.length));
      const rows = Array.from({ length }, (_, i) => known.flatMap((list) => list[i] ?? []));
      return { kind: "list", items: rows.map((items) => ({ kind: "list", items, isTuple: true })) };
    }
    case "reversed": {
      const items = first === undefined ? undefined : itemsOf(first);
      return items === undefined ? unknown() : { kind: "list", items: [...items].reverse() };
    }
    case "sorted": {
      const items = first === undefined ? undefined : itemsOf(first);
      const numbers = items?.flatMap((item) => (item.kind === "number" ? [item] : []));
      if (items === undefined || numbers?.length !== items.length || named.length > 0) return unknown();
      return { kind: "list", items: numbers.sort((a, b) => a.value - b.value) };
    }
    case "deepcopy":
      return first === undefined ? unknown() : deepCopy(first);
    case "print":
      return { kind: "none" };
    case "isinstance":
      return unknownValue(
        `isinstance(${first?.kind === "unknown" ? first.name : "…"}, ${second?.kind === "unknown" ? second.name : "…"})`,
        at,
        "it is not decided",
      );
    default:
      return unknown();
  }
}

function deepCopy(value: TorchValue): TorchValue {
  if (value.kind === "unknown") return { ...value, attributes: new Map(value.attributes) };
  if (value.kind === "list") return { ...value, items: value.items.map(deepCopy) };
  if (value.kind !== "dict") return value;
  return { ...value, entries: value.entries.map((entry) => ({ key: entry.key, value: deepCopy(entry.value) })) };
}

function fromText(name: string, text: string): TorchValue | undefined {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || (name === "int" && !Number.isInteger(value))) return undefined;
  return pythonNumber(value, name === "int");
}

function pair(a: TorchValue, b: TorchValue): TorchValue {
  return { kind: "list", items: [a, b], isTuple: true };
}

function itemsOf(value: TorchValue): readonly TorchValue[] | undefined {
  if (value.kind === "list") return value.items;
  if (value.kind === "dict") return value.entries.map(({ key }) => key);
  return undefined;
}

function lengthOf(value: TorchValue | undefined): TorchValue | undefined {
  if (value?.kind === "string") return pythonNumber(value.value.length, true);
  const items = value === undefined ? undefined : itemsOf(value);
  return items === undefined ? undefined : pythonNumber(items.length, true);
}

function rangeOf(args: readonly TorchValue[]): TorchValue | undefined {
  const numbers = args.flatMap((value) => (value.kind === "number" ? [value.value] : []));
  if (numbers.length !== args.length || numbers.length === 0) return undefined;
  const [start, end, step] =
    numbers.length === 1 ? [0, numbers[0] ?? 0, 1] : [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 1];
  if (step === 0) return undefined;
  const length = Math.max(0, Math.ceil((end - start) / step));
  if (length > longestRange) return undefined;
  return { kind: "list", items: Array.from({ length }, (_, i) => pythonNumber(start + i * step, true)) };
}

function callMethod(name: string, self: TorchValue, args: readonly TorchValue[]): TorchValue | undefined {
  const [first, second] = args;
  if (self.kind === "dict") {
    if (name === "get" && first !== undefined) {
      if (!isPlain(first) || self.entries.some(({ key }) => !isPlain(key))) return undefined;
      return self.entries.findLast(({ key }) => equal(key, first) === true)?.value ?? second ?? { kind: "none" };
    }
    if (name === "items") return { kind: "list", items: self.entries.map(({ key, value }) => pair(key, value)) };
    if (name === "keys") return { kind: "list", items: self.entries.map(({ key }) => key) };
    if (name === "values") return { kind: "list", items: self.entries.map(({ value }) => value) };
    return name === "copy" ? { ...self } : undefined;
  }
  if (self.kind === "list") return name === "copy" ? { ...self } : undefined;
  if (self.kind !== "string") return undefined;
  const text = self.value;
  if (name === "lower") return { kind: "string", value: text.toLowerCase() };
  if (name === "upper") return { kind: "string", value: text.toUpperCase() };
  if (name === "strip" && first === undefined) return { kind: "string", value: text.trim() };
  if (first?.kind !== "string") return undefined;
  if (name === "startswith") return { kind: "truth", value: text.startsWith(first.value) };
  if (name === "endswith") return { kind: "truth", value: text.endsWith(first.value) };
  if (name === "split" && first.value !== "") {
    return { kind: "list", items: text.split(first.value).map((value) => ({ kind: "string", value })) };
  }
  return undefined;
}
