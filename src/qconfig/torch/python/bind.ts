/** The arguments of a call, under the names of a function's parameters. */
import { type FunctionValue, type NameTable, type TorchValue, unknownValue } from "../values.ts";
import type { EvaluatedCall } from "./evaluate.ts";
import { notUnderstood, type TorchSource } from "./source.ts";
import type { Expression } from "./syntax.ts";

/** What binding needs from outside. */
export interface Binding {
  readonly source: TorchSource;
  /** A value from outside goes over the one of the call. */
  given(name: string): TorchValue | undefined;
  fallback(expression: Expression): TorchValue;
}

/** Returns the names of a call's arguments. @throws ConfigError for one that the function does not take. */
export function boundParameters(fn: FunctionValue, call: EvaluatedCall, binding: Binding): NameTable {
  const own: NameTable = new Map();
  const { parameters } = fn.syntax;
  const args = fn.self === undefined ? call.args : [{ at: call.at, value: fn.self }, ...call.args];
  const positional = args.filter(({ keyword }) => keyword === undefined).map(({ value }) => value);
  const named = new Map(args.flatMap(({ keyword, value }) => (keyword === undefined ? [] : [[keyword.text, value]])));
  for (const { name, at, kind, fallback } of parameters) {
    const byName = named.get(name);
    if (kind === "rest") own.set(name, { kind: "list", items: positional.splice(0) });
    else if (kind === "keywords") {
      const entries = [...named].map(([key, value]) => ({ key: { kind: "string", value: key } as const, value }));
      own.set(name, { kind: "dict", entries });
      named.clear();
    } else {
      named.delete(name);
      const value = byName ?? (kind === "plain" ? positional.shift() : undefined);
      const fill = value !== undefined || fallback === undefined ? undefined : binding.fallback(fallback);
      const missing = unknownValue(name, at, "its value is not an argument of the function", { isVariable: true });
      own.set(name, binding.given(name) ?? value ?? fill ?? missing);
    }
  }
  const [extra] = named.keys();
  const place = args.find(({ keyword }) => keyword !== undefined && keyword.text === extra)?.keyword;
  if (place !== undefined) throw notUnderstood(binding.source, place, `${call.name} has no parameter of this name`);
  if (positional.length > 0) {
    throw notUnderstood(binding.source, call.at, `${call.name} takes ${parameters.length} arguments`);
  }
  return own;
}
