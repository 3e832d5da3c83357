/** Evaluates Python expressions. What is not known stays unknown, with its reason, until something depends on it. */
import type { ConfigError } from "../../../errors.ts";
import { type NameTable, type TorchValue, truthOf, unknownValue } from "../values.ts";
import { type PythonNumber, pythonNumber } from "./arithmetic.ts";
import { indexed, methodOf, textOf } from "./builtins.ts";
import { binaryValue, comparison, isComparison, longestBuilt, truthValue, unaryValue } from "./operators.ts";
import { type At, notUnderstood, type TorchSource } from "./source.ts";
import { chosenOf, type State } from "./state.ts";
import { type Argument, type Clause, dottedName, type Expression, wholeOf } from "./syntax.ts";

/** An argument of a call with its value. */
export interface EvaluatedArgument {
  readonly keyword?: At;
  readonly at: At;
  readonly value: TorchValue;
}

/** A call with its arguments' values. */
export interface EvaluatedCall {
  /** As it is written: `tq.FakeQuantize.with_args`. */
  readonly name: string;
  /** The position of the name, and of the opening bracket. */
  readonly nameAt: At;
  readonly at: At;
  readonly args: readonly EvaluatedArgument[];
}

/** What the evaluator asks of its surroundings: the names of torch, and the functions of the text. */
export interface Surroundings {
  readonly source: TorchSource;
  readonly state: State;
  /** Names that nothing in the text assigns. */
  named(name: string): TorchValue | undefined;
  /** A name of a module, such as torch.quint8, by its last part. */
  member(name: string): TorchValue | undefined;
  given(path: string): PythonNumber | TorchValue | undefined;
  /** Counts a step. @throws ConfigError when there were too many. */
  step(at: At): void;
  call(target: TorchValue, call: EvaluatedCall): TorchValue;
  /** A method of a value of torch: `with_args`, `set_global`; undefined where it has none of that name. */
  method(object: TorchValue, call: EvaluatedCall, name: string): TorchValue | undefined;
  assignName(scopes: readonly NameTable[], name: string, value: TorchValue): void;
}

/** Evaluates expressions in scopes, the innermost last. */
export class PythonEvaluator {
  readonly #around: Surroundings;
  /** Names that nothing in the text assigns: modules that are not imported in it, and models. */
  readonly #free: NameTable = new Map();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  error(at: At, reason: string, remedy?: string): ConfigError {
    return notUnderstood(this.#around.source, at, reason, remedy);
  }

  value(expression: Expression, scopes: readonly NameTable[]): TorchValue {
    this.#around.step(expression.at);
    switch (expression.kind) {
      case "number":
        return pythonNumber(expression.value, expression.integer);
      case "string":
        return this.#string(expression, scopes);
      case "truth":
        return { kind: "truth", value: expression.value };
      case "none":
        return { kind: "none" };
      case "name":
        return this.#name(expression, scopes);
      case "attribute":
        return this.#attribute(expression, scopes);
      case "call":
        return this.#call(expression, scopes);
      case "subscript":
        return this.#subscript(expression, scopes);
      case "list":
        return {
          kind: "list",
          items: this.#items(expression.items, scopes),
          ...(expression.isTuple ? { isTuple: true } : {}),
        };
      case "dict":
        return this.#dict(expression, scopes);
      case "unary":
        return unaryValue(
          {
            source: this.#around.source,
            operator: expression.operator,
            at: expression.at,
            leftAt: expression.at,
            rightAt: expression.operand.at,
          },
          this.value(expression.operand, scopes),
        );
      case "binary":
        return this.#binary(expression, scopes);
      case "conditional": {
        const truth = truthOf(this.value(expression.test, scopes));
        if (truth !== undefined) return this.value(truth ? expression.whenTrue : expression.otherwise, scopes);
        const { test, whenTrue, otherwise } = expression;
        const choice = chosenOf(wholeOf(test), this.value(whenTrue, scopes), this.value(otherwise, scopes));
        return choice ?? { kind: "none" };
      }
      case "lambda": {
        const { parameters, body } = expression;
        return { kind: "function", syntax: { name: "lambda", parameters, result: body }, scopes };
      }
      case "comprehension":
        return this.#comprehension(expression, scopes);
      case "walrus": {
        const value = this.value(expression.value, scopes);
        if (expression.target.kind === "name") this.#around.assignName(scopes, expression.target.name, value);
        return value;
      }
      case "starred":
      case "opaque":
        return unknownValue(expression.at.text, expression.at, "this part of Python is not evaluated");
    }
  }

  #string(expression: Extract<Expression, { kind: "string" }>, scopes: readonly NameTable[]): TorchValue {
    let value = "";
    for (const part of expression.parts) {
      const text = typeof part === "string" ? part : textOf(this.value(part, scopes));
      if (text === undefined) return unknownValue("a text", expression.at, "a part of this text is not known");
      value += text;
      if (typeof part !== "string" && value.length > longestBuilt)
        return unknownValue("a text", expression.at, "it is too long");
    }
    return { kind: "string", value };
  }

  #name(expression: Extract<Expression, { kind: "name" }>, scopes: readonly NameTable[]): TorchValue {
    const { name, at } = expression;
    const given = this.#around.given(name);
    if (given !== undefined) return given;
    const own =
      scopes.findLast((cell) => cell.has(name))?.get(name) ?? this.#around.named(name) ?? this.#free.get(name);
    // What is not known is asked for where it is used.
    if (own !== undefined) return own.kind === "unknown" && own.isVariable ? { ...own, at } : own;
    const made = unknownValue(name, at, "nothing has this name", { isVariable: true, isFree: true });
    this.#free.set(name, made);
    return made;
  }

  #attribute(expression: Extract<Expression, { kind: "attribute" }>, scopes: readonly NameTable[]): TorchValue {
    const { name, at } = expression;
    const path = dottedName(expression);
    const given = path === undefined ? undefined : this.#around.given(path);
    if (given !== undefined) return given;
    return this.attributeOf(this.value(expression.object, scopes), name, at, path ?? `….${name}`);
  }

  /** An attribute of a value; one of something unknown is unknown, and the same each time. */
  attributeOf(object: TorchValue, name: string, at: At, path: string): TorchValue {
    switch (object.kind) {
      case "module":
        return this.#around.member(name) ?? { kind: "module", path: [...object.path, name], at };
      case "unknown": {
        const own = object.attributes.get(name) ?? (object.isFree === true ? this.#around.member(name) : undefined);
        if (own !== undefined) return own.kind === "unknown" && own.isVariable ? { ...own, at } : own;
        const isOutside = object.isFree === true || object.isImported === true;
        const reason = isOutside ? object.reason : `${object.name} is not evaluated`;
        const inherited = object.error === undefined ? {} : { error: object.error };
        const made = unknownValue(path, at, reason, {
          isVariable: true,
          ...(object.isFree === true ? { isFree: true } : {}),
          ...(object.isImported === true ? { isImported: true } : {}),
          ...inherited,
        });
        object.attributes.set(name, made);
        return made;
      }
      case "object":
      case "class": {
        const found = this.#classAttribute(object, name);
        if (found !== undefined) return found;
        const made = unknownValue(path, at, `${object.name} has no such attribute in the text`, { isVariable: true });
        object.attributes.set(name, made);
        return made;
      }
      case "choice": {
        const values = object.options.map((option) => this.attributeOf(option, name, at, path));
        return values.reduce((all, value) => chosenOf(object.at, all, value) ?? value);
      }
      default:
        return methodOf(object, name) ?? unknownValue(path, at, "it is not evaluated");
    }
  }

  #classAttribute(object: Extract<TorchValue, { kind: "object" | "class" }>, name: string): TorchValue | undefined {
    const own = object.attributes.get(name);
    if (own !== undefined) return own;
    const above = object.kind === "object" ? [object.type] : object.bases;
    for (const base of above) {
      if (base.kind !== "class") continue;
      const found = this.#classAttribute(base, name);
      if (found === undefined) continue;
      return object.kind === "object" &&
        found.kind === "function" &&
        found.self === undefined &&
        found.isStatic !== true
        ? { ...found, self: object }
        : found;
    }
    return undefined;
  }

  #call(expression: Extract<Expression, { kind: "call" }>, scopes: readonly NameTable[]): TorchValue {
    const { callee } = expression;
    const name = dottedName(callee) ?? (callee.kind === "attribute" ? `….${callee.name}` : "…");
    const call = (): EvaluatedCall => ({
      name,
      nameAt: callee.at,
      at: expression.at,
      args: this.#arguments(expression.args, scopes),
    });
    if (callee.kind !== "attribute") {
      const target = this.value(callee, scopes);
      return this.#around.call(target, call());
    }
    const object = this.value(callee.object, scopes);
    const isOutside = object.kind === "unknown" && object.isFree === true && !object.attributes.has(callee.name);
    const own = isOutside ? this.#around.member(callee.name) : undefined;
    const method = own === undefined ? this.#around.method(object, call(), callee.name) : undefined;
    return method ?? this.#around.call(own ?? this.attributeOf(object, callee.name, callee.at, name), call());
  }

  #arguments(args: readonly Argument[], scopes: readonly NameTable[]): EvaluatedArgument[] {
    return args.flatMap((argument): EvaluatedArgument[] => {
      const value = this.value(argument.value, scopes);
      const { at } = argument.value;
      const { keyword } = argument;
      if (argument.spread === "list" && value.kind === "list") return value.items.map((item) => ({ at, value: item }));
      if (argument.spread === "dict" && value.kind === "dict") {
        return value.entries.flatMap(({ key, value: inner }) =>
          key.kind === "string" ? [{ keyword: { ...at, text: key.value }, at, value: inner }] : [],
        );
      }
      if (argument.spread !== undefined) {
        const reason = "these arguments are not known";
        return [
          {
            at,
            value: unknownValue(at.text, at, reason, {
              error: this.error(at, reason, "Write them out as name=value."),
            }),
            ...(argument.spread === "dict" ? { keyword: { ...at, text: "**" } } : {}),
          },
        ];
      }
      return [{ ...(keyword === undefined ? {} : { keyword }), at, value }];
    });
  }

  #items(items: readonly Expression[], scopes: readonly NameTable[]): TorchValue[] {
    return items.flatMap((item) => {
      if (item.kind !== "starred") return [this.value(item, scopes)];
      const value = this.value(item.value, scopes);
      return value.kind === "list" ? value.items : [unknownValue(item.at.text, item.at, "these items are not known")];
    });
  }

  #dict(expression: Extract<Expression, { kind: "dict" }>, scopes: readonly NameTable[]): TorchValue {
    const entries: { key: TorchValue; value: TorchValue }[] = [];
    for (const { key, value } of expression.entries) {
      const inner = this.value(value, scopes);
      if (key !== undefined) entries.push({ key: this.value(key, scopes), value: inner });
      else if (inner.kind === "dict") entries.push(...inner.entries);
      else return unknownValue("a dict", expression.at, "a part of this dict is not known");
    }
    return { kind: "dict", entries };
  }

  #subscript(expression: Extract<Expression, { kind: "subscript" }>, scopes: readonly NameTable[]): TorchValue {
    const object = this.value(expression.object, scopes);
    const name = `${dottedName(expression.object) ?? "…"}[…]`;
    const { index, at } = expression;
    const key = index === undefined ? undefined : this.value(index, scopes);
    // `model.features[0]` is one module, each time.
    if (object.kind === "unknown" && (key?.kind === "number" || key?.kind === "string")) {
      return this.attributeOf({ ...object, isVariable: false }, String(key.value), at, `${object.name}[${key.value}]`);
    }
    const found = key === undefined ? undefined : indexed(object, key);
    return found ?? unknownValue(name, at, "this element is not known", { isVariable: false });
  }

  #binary(expression: Extract<Expression, { kind: "binary" }>, scopes: readonly NameTable[]): TorchValue {
    const { operator, at } = expression;
    const left = this.value(expression.left, scopes);
    if (operator === "and" || operator === "or") {
      const truth = truthOf(left);
      if (truth !== undefined) return truth === (operator === "and") ? this.value(expression.right, scopes) : left;
      const right = truthOf(this.value(expression.right, scopes));
      return truthValue(right === (operator === "or") ? right : undefined, `… ${operator} …`, at);
    }
    const right = this.value(expression.right, scopes);
    if (!isComparison(operator)) {
      const places = { at, leftAt: expression.left.at, rightAt: expression.right.at };
      return binaryValue({ source: this.#around.source, operator, ...places }, left, right);
    }
    const isChained = expression.isChained === true && expression.left.kind === "binary";
    const middle = isChained ? this.value(expression.left.right, scopes) : left;
    const truth = comparison(operator, isChained ? truthOf(left) : true, middle, right);
    return truthValue(truth, `… ${operator} …`, at);
  }

  #comprehension(expression: Extract<Expression, { kind: "comprehension" }>, scopes: readonly NameTable[]): TorchValue {
    const { key, element, clauses, at } = expression;
    const items: TorchValue[] = [];
    const entries: { key: TorchValue; value: TorchValue }[] = [];
    const isKnown = this.#overClauses(clauses, scopes, (inner) => {
      if (key === undefined) items.push(this.value(element, inner));
      else entries.push({ key: this.value(key, inner), value: this.value(element, inner) });
    });
    if (!isKnown) return unknownValue("a comprehension", at, "what it goes over is not known");
    return key === undefined ? { kind: "list", items } : { kind: "dict", entries };
  }

  #overClauses(
    clauses: readonly Clause[],
    scopes: readonly NameTable[],
    visit: (scopes: readonly NameTable[]) => void,
  ): boolean {
    const [clause, ...rest] = clauses;
    if (clause === undefined) {
      visit(scopes);
      return true;
    }
    const iterable = iterationOf(this.value(clause.iterable, scopes));
    if (iterable === undefined) return false;
    for (const item of iterable) {
      const inner = [...scopes, new Map<string, TorchValue>()];
      for (const [name, value] of this.bindings(clause.target, item)) inner.at(-1)?.set(name, value);
      const truths = clause.conditions.map((condition) => truthOf(this.value(condition, inner)));
      if (truths.includes(undefined)) return false;
      if (truths.includes(false)) continue;
      if (!this.#overClauses(rest, inner, visit)) return false;
    }
    return true;
  }

  /** The names of a target and the value that each gets; only names, no attributes. */
  bindings(target: Expression, value: TorchValue): [string, TorchValue][] {
    if (target.kind === "name") return [[target.name, value]];
    if (target.kind !== "list") return [];
    return this.spread(target, value).flatMap((item, index) => {
      const inner = target.items[index];
      return inner === undefined ? [] : this.bindings(inner, item);
    });
  }

  /** One value for each item of a target such as `a, b`. @throws ConfigError when their numbers differ. */
  spread(target: Extract<Expression, { kind: "list" }>, value: TorchValue): TorchValue[] {
    const count = target.items.length;
    const star = target.items.findIndex(({ kind }) => kind === "starred");
    if (value.kind !== "list" || star >= 0) {
      const isModule = value.kind === "unknown" && value.isEachModule === true;
      return target.items.map(({ at }) =>
        unknownValue(at.text, at, "the values of this assignment are not known", {
          isVariable: true,
          ...(isModule ? { isEachModule: true } : {}),
        }),
      );
    }
    if (value.items.length !== count) {
      const at = target.items[0]?.at ?? target.at;
      throw this.error(at, `${count} names are given ${value.items.length} values`);
    }
    return [...value.items];
  }
}

/** The items that a loop goes over; undefined where they are not known. */
export function iterationOf(value: TorchValue): readonly TorchValue[] | undefined {
  if (value.kind === "list") return value.items;
  if (value.kind === "dict") return value.entries.map(({ key }) => key);
  return undefined;
}
