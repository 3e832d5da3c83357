/** Evaluates the statements of a torch configuration: which names hold what, and the QConfig that comes out. */

import { didYouMean } from "../../base/nearest-word.ts";
import type { SubbyteError } from "../../errors.ts";
import {
  binaryOperation,
  numericFunction,
  type PythonNumber,
  pythonNumber,
  pythonText,
  unaryOperation,
} from "./arithmetic.ts";
import type { Argument, Expression, Statement } from "./syntax.ts";
import { notUnderstood, type Token, type TorchSource } from "./tokens.ts";
import { type FakeQuantizeArguments, getDefaultQatQconfig, type ObserverForm, QConfig } from "./torch.ts";
import {
  type ArgumentPlaces,
  type FormValue,
  kindWords,
  modelCalls,
  type QConfigValue,
  readyQConfig,
  type TorchValue,
  torchArguments,
  torchNames,
} from "./values.ts";

type Call = Extract<Expression, { readonly kind: "call" }>;

/** The result of the statements. */
export interface Evaluated {
  readonly qconfigs: readonly QConfigValue[];
  /** Fake-quantize modules that were made, for a text without a QConfig; a form that became part of another is none. */
  readonly forms: readonly { readonly name: string; readonly value: FormValue }[];
  /** Whether the text fuses Conv, BN and ReLU. */
  readonly fuses: boolean;
  /** The names that were given from outside and read. */
  readonly used: ReadonlySet<string>;
}

/** Evaluates statements. `given` goes over what the text assigns. @throws ConfigError naming a token. */
export function evaluateStatements(
  source: TorchSource,
  statements: readonly Statement[],
  given: ReadonlyMap<string, number>,
): Evaluated {
  const evaluator = new Evaluator(source, given);
  for (const statement of statements) evaluator.run(statement);
  return evaluator;
}

class Evaluator implements Evaluated {
  readonly qconfigs: QConfigValue[] = [];
  readonly forms: { readonly name: string; readonly value: FormValue }[] = [];
  readonly used = new Set<string>();
  fuses = false;
  readonly #source: TorchSource;
  readonly #given: ReadonlyMap<string, number>;
  readonly #variables = new Map<string, TorchValue>();
  readonly #parameters = new Set<string>();

  constructor(source: TorchSource, given: ReadonlyMap<string, number>) {
    this.#source = source;
    this.#given = given;
  }

  run(statement: Statement): void {
    if (statement.kind === "parameter") {
      this.#parameters.add(statement.name);
      if (statement.fallback !== undefined) this.#variables.set(statement.name, this.#value(statement.fallback));
      return;
    }
    if (statement.kind !== "assign") {
      const { value } = statement;
      if (value.kind !== "string") this.#keep("", this.#value(value));
      return;
    }
    const values = statement.values.map((value) => this.#value(value));
    const [only] = values;
    const spread = statement.targets.length > 1 && values.length === 1 && only?.kind === "list" ? only.items : values;
    statement.targets.forEach((target, index) => {
      const name = dottedName(target);
      const value = spread[index];
      if (name === undefined) throw this.#error(target.token, "only a name can be assigned to");
      if (/\..+\.qconfig$/.test(name)) {
        throw this.#error(
          target.token,
          "a QConfig for one module is not supported",
          "Give that layer an override instead.",
        );
      }
      if (value === undefined || spread.length !== statement.targets.length) {
        throw this.#error(target.token, `${statement.targets.length} names are given ${spread.length} values`);
      }
      this.#variables.set(name, value);
      this.#keep(name, value);
    });
  }

  #keep(name: string, value: TorchValue): void {
    if (value.kind === "qconfig") this.qconfigs.push(value);
    if (value.kind === "fakeQuantize") this.forms.push({ name, value });
  }

  #error(token: Token, reason: string, remedy?: string): SubbyteError {
    return notUnderstood(this.#source, token, reason, remedy);
  }

  #value(expression: Expression): TorchValue {
    switch (expression.kind) {
      case "number":
        return pythonNumber(expression.value, expression.integer);
      case "string":
        return { kind: "string", value: expression.value };
      case "list":
        return { kind: "list", items: expression.items.map((item) => this.#value(item)) };
      case "name":
      case "attribute":
        return this.#named(expression);
      case "call":
        return this.#call(expression);
      case "unary": {
        const operand = this.#number(expression.operand);
        return this.#checked(unaryOperation(expression.operator, operand), expression.token);
      }
      case "binary": {
        const [left, right] = [this.#number(expression.left), this.#number(expression.right)];
        return this.#checked(binaryOperation(expression.operator, left, right), expression.token);
      }
    }
  }

  #checked(result: PythonNumber | undefined, token: Token): PythonNumber {
    if (result === undefined) throw this.#error(token, "these values cannot be combined in this way");
    return result;
  }

  #number(expression: Expression): PythonNumber {
    const value = this.#value(expression);
    if (value.kind !== "number") throw this.#wrongKind(expression.token, "number", value);
    return value;
  }

  #wrongKind(token: Token, expected: TorchValue["kind"] | "integer", got: TorchValue): SubbyteError {
    return this.#error(token, `expected ${kindWords[expected]}, got ${kindWords[got.kind]}`);
  }

  #named(expression: Extract<Expression, { readonly kind: "name" | "attribute" }>): TorchValue {
    const path = dottedName(expression);
    const own = path === undefined ? undefined : this.#variable(path);
    if (own !== undefined) return own;
    const known = torchNames.get(expression.name);
    if (known !== undefined) return known;
    if (expression.kind === "attribute") {
      const remedy = didYouMean(expression.name, [...torchNames.keys()]) ?? this.#askFor(path ?? expression.name);
      throw this.#error(expression.token, "torch has no such name that configurations use", remedy);
    }
    if (this.#parameters.has(expression.name)) {
      throw this.#error(
        expression.token,
        "its value is not an argument of the function",
        this.#askFor(expression.name),
      );
    }
    // A short name is a variable, and every short name is near to some other.
    const candidates = expression.name.length > 4 ? [...this.#variables.keys(), ...torchNames.keys()] : [];
    const remedy = didYouMean(expression.name, candidates) ?? this.#askFor(expression.name);
    throw this.#error(expression.token, "nothing has this name", remedy);
  }

  #askFor(name: string): string {
    return `Assign it in the text, or give its value: --define ${name}=4.`;
  }

  #variable(name: string): TorchValue | undefined {
    const given = this.#given.get(name);
    if (given === undefined) return this.#variables.get(name);
    this.used.add(name);
    return pythonNumber(given, Number.isInteger(given));
  }

  #call(call: Call): TorchValue {
    const { callee } = call;
    const method = callee.kind === "attribute" ? callee.name : callee.kind === "name" ? callee.name : "";
    const fused = modelCalls.get(method);
    if (fused !== undefined && (callee.kind === "attribute" || this.#variable(method) === undefined)) {
      this.fuses ||= fused;
      return { kind: "opaque" };
    }
    if (callee.kind === "attribute" && callee.name === "with_args") {
      return this.#withArguments(this.#value(callee.object), call.args, callee.token);
    }
    const target = this.#value(callee);
    if (target.kind === "function") return this.#function(target.name, call);
    if (target.kind === "fakeQuantize" || target.kind === "observer") {
      const name = callee.kind === "attribute" || callee.kind === "name" ? callee.name : "it";
      throw this.#error(
        callee.token,
        "this makes an instance, but a QConfig expects a class",
        `Write ${name}.with_args(…).`,
      );
    }
    throw this.#error(callee.token, `${kindWords[target.kind]} cannot be called`);
  }

  #function(name: string, call: Call): TorchValue {
    if (name === "QConfig") return this.#qconfig(call);
    if (name === "get_default_qat_qconfig") return this.#defaultQconfig(call);
    if (name === "partial") {
      const [first, ...rest] = call.args;
      if (first === undefined) throw this.#error(call.token, "partial needs a class");
      return this.#withArguments(this.#value(first.value), rest, first.value.token);
    }
    const numbers = call.args.map(({ value }) => this.#number(value));
    const result = numericFunction(name, numbers);
    if (result === undefined) throw this.#error(call.token, `${name} cannot take these numbers`);
    return result;
  }

  #qconfig(call: Call): QConfigValue {
    const parts = this.#bound(call, ["activation", "weight"]);
    const read = (name: string): FormValue | null => {
      const part = parts.get(name);
      if (part === undefined) throw this.#error(call.token, `QConfig lacks its ${name}`, `Add ${name}=….`);
      const value = this.#value(part.value);
      if (value.kind === "none") return null;
      if (value.kind === "fakeQuantize") return value;
      const remedy = value.kind === "observer" ? "Write FakeQuantize.with_args(observer=…)." : undefined;
      const got = value.kind === "observer" ? ", which only watches" : "";
      throw this.#error(
        part.value.token,
        `expected ${kindWords.fakeQuantize}, got ${kindWords[value.kind]}${got}`,
        remedy,
      );
    };
    const [activation, weight] = [read("activation"), read("weight")];
    return {
      kind: "qconfig",
      qconfig: new QConfig({ activation: activation?.form ?? null, weight: weight?.form ?? null }),
      places: { activation: activation?.places ?? new Map(), weight: weight?.places ?? new Map() },
    };
  }

  #defaultQconfig(call: Call): QConfigValue {
    const parts = this.#bound(call, ["backend", "version"]);
    const backend = parts.get("backend");
    const name = backend === undefined ? undefined : this.#value(backend.value);
    if (backend !== undefined && name?.kind !== "string") {
      throw this.#wrongKind(backend.value.token, "string", name ?? { kind: "none" });
    }
    const version = parts.get("version");
    const number = version === undefined ? 1 : this.#number(version.value).value;
    if (version !== undefined && number !== 0 && number !== 1) {
      throw this.#error(version.value.token, "there are version 0 (classic) and version 1 (fused)");
    }
    const { activation, weight } = getDefaultQatQconfig(
      name?.kind === "string" ? name.value : undefined,
      number === 0 ? 0 : 1,
    );
    return readyQConfig(activation, weight);
  }

  /** Arguments by the name that position or keyword gives them. */
  #bound(call: Call, names: readonly string[]): Map<string, Argument> {
    const bound = new Map<string, Argument>();
    call.args.forEach((argument, index) => {
      const name = argument.keyword?.text ?? names[index];
      const token = argument.keyword ?? argument.value.token;
      if (name === undefined || !names.includes(name)) {
        throw this.#error(token, "there is no such argument", `There are: ${names.join(", ")}.`);
      }
      if (bound.has(name)) throw this.#error(token, `${name} is given twice`);
      bound.set(name, argument);
    });
    return bound;
  }

  #withArguments(target: TorchValue, args: readonly Argument[], token: Token): TorchValue {
    if (target.kind !== "observer" && target.kind !== "fakeQuantize") {
      throw this.#error(token, `${kindWords[target.kind]} does not take arguments in this form`);
    }
    const places = new Map(target.places);
    let added: FakeQuantizeArguments = {};
    for (const { keyword, value } of args) {
      if (keyword === undefined) {
        throw this.#error(value.token, "with_args takes keyword arguments only", "Write name=value.");
      }
      if (keyword.text === "observer" && target.kind === "fakeQuantize") {
        const observer = this.#observer(value);
        for (const [name, place] of observer.places) places.set(name, place);
        added = { ...added, observer: observer.form };
      } else {
        added = { ...added, ...this.#argument(keyword, value, target.kind === "fakeQuantize") };
      }
      places.set(keyword.text, keyword);
    }
    if (target.kind === "fakeQuantize") return { kind: "fakeQuantize", form: target.form.withArgs(added), places };
    const { observer: _observer, ...own } = added;
    return { kind: "observer", form: target.form.withArgs(own), places };
  }

  #observer(expression: Expression): { readonly form: ObserverForm; readonly places: ArgumentPlaces } {
    const value = this.#value(expression);
    if (value.kind !== "observer") throw this.#wrongKind(expression.token, "observer", value);
    return value;
  }

  #argument(keyword: Token, expression: Expression, forModule: boolean): FakeQuantizeArguments {
    const facts = torchArguments.get(keyword.text);
    if (facts === undefined) {
      const names = [...torchArguments.keys(), ...(forModule ? ["observer"] : [])];
      const remedy = didYouMean(keyword.text, names) ?? `There are: ${names.join(", ")}.`;
      throw this.#error(keyword, "there is no such argument", remedy);
    }
    const value = this.#value(expression);
    const expected = facts.kind === "integer" ? "number" : facts.kind;
    if (value.kind !== expected) throw this.#wrongKind(expression.token, facts.kind, value);
    if (facts.kind === "integer" && value.kind === "number" && !value.integer) {
      const remedy = Number.isInteger(value.value) ? "Divide with //, or write int(…)." : "Give a whole number.";
      throw this.#error(keyword, `its value is the float ${pythonText(value.value)}, but torch expects an int`, remedy);
    }
    return "value" in value ? { [facts.name]: value.value } : {};
  }
}

function dottedName(expression: Expression): string | undefined {
  if (expression.kind === "name") return expression.name;
  if (expression.kind !== "attribute") return undefined;
  const object = dottedName(expression.object);
  return object === undefined ? undefined : `${object}.${expression.name}`;
}
