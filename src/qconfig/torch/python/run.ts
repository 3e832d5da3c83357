/** Runs Python statements over abstract values: both branches of a condition that is not decided, and each function that is called. */
import { SubbyteError } from "../../../errors.ts";
import {
  type ClassValue,
  type FunctionValue,
  type NameTable,
  type ObjectValue,
  type TorchValue,
  truthOf,
  unknownValue,
} from "../values.ts";
import { boundParameters } from "./bind.ts";
import { changedBy, withEntry } from "./builtins.ts";
import { type EvaluatedCall, PythonEvaluator, type Surroundings } from "./evaluate.ts";
import { type Listener, mayLeave, type Step, TooManySteps } from "./flow.ts";
import { Homes, replaceEverywhere } from "./homes.ts";
import { type LoopMachine, runFor, runMatch, runWhile } from "./loops.ts";
import { binaryValue } from "./operators.ts";
import type { At } from "./source.ts";
import { type BodyOutcome, chosenOf, joinOutcomes, ranOn } from "./state.ts";
import { type Body, dottedName, type Expression, type Statement, wholeOf } from "./syntax.ts";

const deepestCall = 24;
const deepestFork = 8;
const copiedPerStep = 16;

/** Runs statements. */
export class Runner {
  readonly #around: Surroundings;
  readonly #listener: Listener;
  readonly evaluator: PythonEvaluator;
  #calls = 0;
  #forks = 0;
  readonly #active = new Set<Body>();
  readonly #homes = new Homes();
  /** The scopes of the calls that are running. */
  readonly #stack: (readonly NameTable[])[] = [];

  constructor(around: Surroundings, listener: Listener) {
    this.#around = around;
    this.#listener = listener;
    this.evaluator = new PythonEvaluator(around);
  }

  body(statements: Body, scopes: readonly NameTable[]): BodyOutcome {
    for (const [index, statement] of statements.entries()) {
      const rest = () => this.body(statements.slice(index + 1), scopes);
      const outcome = this.#guarded(statement, scopes, rest);
      if (outcome === undefined) continue;
      if ("final" in outcome) return outcome.final;
      if (outcome.next === undefined) return outcome;
      const { next: _next, ...ended } = outcome;
      if (Object.keys(ended).length === 0) continue;
      const after = this.#around.state.fork(statement.at, rest, () => ({}));
      return joinOutcomes(statement.at, ended, after);
    }
    return ranOn;
  }

  /** The outcome of a statement; undefined: it ran on. An error in it is kept until something depends on it. */
  #guarded(statement: Statement, scopes: readonly NameTable[], rest: () => BodyOutcome): Step {
    try {
      this.#around.step(statement.at);
      return this.#statement(statement, scopes, rest);
    } catch (error) {
      if (!(error instanceof SubbyteError) || error instanceof TooManySteps) throw error;
      this.#listener.failed(error, statement.at);
      if (statement.kind === "return") return { returned: this.#failed(statement.at, error) };
      if (statement.kind === "assign")
        for (const target of statement.targets)
          this.#assign(target, this.#failed(statement.at, error), scopes, statement.at);
      return undefined;
    }
  }

  #failed(at: At, error: SubbyteError): TorchValue {
    return unknownValue(at.text, at, error.message, { error });
  }

  #statement(statement: Statement, scopes: readonly NameTable[], rest: () => BodyOutcome): Step {
    const { at } = statement;
    const value = (expression: Expression) => this.evaluator.value(expression, scopes);
    switch (statement.kind) {
      case "assign": {
        const assigned = value(statement.value);
        for (const target of statement.targets) this.#assign(target, assigned, scopes, at);
        return undefined;
      }
      case "augment": {
        const [left, right] = [value(statement.target), value(statement.value)];
        const places = { at, leftAt: statement.target.at, rightAt: statement.value.at };
        const result = binaryValue(
          { source: this.#around.source, operator: statement.operator, ...places },
          left,
          right,
        );
        this.#assign(statement.target, result, scopes, at);
        return undefined;
      }
      case "expression":
        this.#expression(statement.value, scopes, at);
        return undefined;
      case "return":
        return { returned: statement.value === undefined ? { kind: "none" } : value(statement.value) };
      case "if":
        return this.#if(statement, scopes, rest);
      case "for":
        return runFor(statement, this.#machine(scopes));
      case "while":
        return runWhile(statement, this.#machine(scopes));
      case "with":
        for (const { value: item, target } of statement.items) {
          const entered = value(item);
          if (target !== undefined)
            this.#assign(
              target,
              unknownValue(
                target.at.text,
                target.at,
                `${entered.kind === "unknown" ? entered.name : "it"} is not evaluated`,
              ),
              scopes,
              at,
            );
        }
        return this.body(statement.body, scopes);
      case "try": {
        const outcome = this.#caught(statement, this.body([...statement.body, ...statement.otherwise], scopes), scopes);
        const finished = this.body(statement.finalBody, scopes);
        return finished.next === true ? outcome : finished;
      }
      case "match":
        return runMatch(statement, this.#machine(scopes));
      case "function":
      case "class":
        this.#define(statement, scopes);
        return undefined;
      case "import": {
        const { path, alias } = statement;
        const module = this.#listener.imported(alias === undefined ? path.slice(0, 1) : path);
        this.assignName(scopes, alias ?? path[0] ?? "", module);
        return undefined;
      }
      case "from":
        this.assignName(scopes, statement.alias, this.#listener.importedName(statement.module, statement.name, at));
        return undefined;
      case "delete":
        for (const target of statement.targets) this.#delete(target, scopes, at);
        return undefined;
      case "scope":
        for (const name of statement.names) this.#homes.declare(scopes, name, statement.isGlobal);
        return undefined;
      case "pass":
        return undefined;
      case "break":
        return { break: true };
      case "continue":
        return { continue: true };
      case "raise":
        return { raise: true };
      case "opaque":
        this.#listener.skipped(at, statement.names);
        this.#forget(statement.names, scopes, at);
        return undefined;
    }
  }

  /** An error that is raised for sure ends in the first handler; what may be raised is not followed. */
  #caught(
    { handlers }: Extract<Statement, { kind: "try" }>,
    { raise, ...others }: BodyOutcome,
    scopes: readonly NameTable[],
  ): BodyOutcome {
    const [first] = handlers;
    if (raise === undefined || first === undefined) return raise === undefined ? others : { ...others, raise };
    return Object.keys(others).length === 0 ? this.body(first, scopes) : others;
  }

  #expression(expression: Expression, scopes: readonly NameTable[], at: At): void {
    if (expression.kind === "string") return;
    const value = this.evaluator.value(expression, scopes);
    this.#listener.kept("", value, at);
    if (expression.kind !== "call" || expression.callee.kind !== "attribute") return;
    // Lists and dicts are values here: a method that changes one assigns another.
    const { object, name } = expression.callee;
    const owner = dottedName(object) === undefined ? undefined : this.evaluator.value(object, scopes);
    if (owner?.kind !== "list" && owner?.kind !== "dict") return;
    const args = expression.args.map((argument) => this.evaluator.value(argument.value, scopes));
    const isPlain = expression.args.every(
      (argument) => argument.keyword === undefined && argument.spread === undefined,
    );
    this.#copied(owner.kind === "list" ? owner.items.length : owner.entries.length, at);
    const changed = changedBy(owner, name, isPlain ? args : [], at);
    if (changed !== owner) this.#replace(owner, changed, scopes, at);
  }

  #if(statement: Extract<Statement, { kind: "if" }>, scopes: readonly NameTable[], rest: () => BodyOutcome): Step {
    const { test, whenTrue, otherwise } = statement;
    const value = this.evaluator.value(test, scopes);
    const truth = truthOf(value);
    if (truth !== undefined) return this.body(truth ? whenTrue : otherwise, scopes);
    const { state } = this.#around;
    const condition = wholeOf(test);
    const leaves = mayLeave(whenTrue) || mayLeave(otherwise);
    if (!leaves || this.#forks >= deepestFork) {
      return state.fork(
        condition,
        () => this.body(whenTrue, scopes),
        () => this.body(otherwise, scopes),
      );
    }
    // A branch that leaves takes its own state with it, so what follows runs in each branch that does not.
    this.#forks++;
    const withRest = (body: Body) => () => {
      const outcome = this.body(body, scopes);
      if (outcome.next === undefined) return outcome;
      const { next: _next, ...ended } = outcome;
      return joinOutcomes(condition, ended, rest());
    };
    const outcome = state.fork(condition, withRest(whenTrue), withRest(otherwise));
    this.#forks--;
    return { final: outcome };
  }

  /** What a statement that is not understood names may be something else after it; a module or a model stays the same. */
  #forget(names: readonly string[], scopes: readonly NameTable[], at: At): void {
    for (const name of names) {
      const table = scopes.findLast((scope) => scope.has(name));
      const value = table?.get(name);
      const isObject =
        value?.kind === "module" || value?.kind === "unknown" || value?.kind === "object" || value?.kind === "builtin";
      if (table === undefined || value === undefined || isObject) continue;
      this.#around.state.set(
        table,
        name,
        unknownValue(name, at, "it stands in a part of the script that is not understood"),
      );
    }
  }

  #machine(scopes: readonly NameTable[]): LoopMachine {
    return {
      state: this.#around.state,
      body: (body) => this.body(body, scopes),
      value: (expression) => this.evaluator.value(expression, scopes),
      assign: (target, value, at) => this.#assign(target, value, scopes, at),
    };
  }

  /** Counts the copy of a list or dict, of which each state stays in memory. */
  #copied(length: number, at: At): void {
    for (let left = length; left > 0; left -= copiedPerStep) this.#around.step(at);
  }

  /** Changes a list or dict for everyone that holds it. */
  #replace(old: TorchValue, changed: TorchValue, scopes: readonly NameTable[], at: At): void {
    const { state } = this.#around;
    const step = () => this.#around.step(at);
    replaceEverywhere([...this.#stack.flat(), ...scopes], old, changed, {
      set: (table, name, value) => state.set(table, name, value),
      step,
    });
  }

  #delete(target: Expression, scopes: readonly NameTable[], at: At): void {
    const { state } = this.#around;
    if (target.kind === "name") state.set(this.#homes.of(scopes, target.name), target.name, undefined);
    if (target.kind === "attribute") {
      const object = this.evaluator.value(target.object, scopes);
      if (object.kind === "unknown" || object.kind === "object") state.set(object.attributes, target.name, undefined);
    }
    if (target.kind === "subscript") {
      const object = this.evaluator.value(target.object, scopes);
      if (object.kind === "list" || object.kind === "dict") {
        this.#replace(object, unknownValue(target.at.text, at, "it is not known after this"), scopes, at);
      }
    }
  }

  #define(statement: Extract<Statement, { kind: "function" | "class" }>, scopes: readonly NameTable[]): void {
    const { name, at } = statement;
    const decorated = statement.decorators.find(
      (decorator) => decorator.kind !== "name" || !harmlessDecorators.has(decorator.name),
    );
    if (decorated !== undefined && statement.kind === "function") {
      const reason = "its decorator is not evaluated";
      this.assignName(scopes, name, unknownValue(name, at, reason));
      return;
    }
    if (statement.kind === "function") {
      const isStatic = statement.decorators.some(
        (decorator) => decorator.kind === "name" && decorator.name === "staticmethod",
      );
      const value: FunctionValue = { kind: "function", syntax: statement, scopes, ...(isStatic ? { isStatic } : {}) };
      this.assignName(scopes, name, value);
      this.#listener.kept(name, value, at);
      return;
    }
    const attributes: NameTable = new Map();
    const bases = statement.bases.map((base) => this.evaluator.value(base, scopes));
    this.body(statement.body, [...scopes, attributes]);
    // The body of a method does not see the names of its class.
    for (const [key, value] of attributes) if (value.kind === "function") attributes.set(key, { ...value, scopes });
    this.assignName(scopes, name, { kind: "class", name, attributes, bases });
  }

  assignName(scopes: readonly NameTable[], name: string, value: TorchValue): void {
    this.#around.state.set(this.#homes.of(scopes, name), name, value);
  }

  #assign(target: Expression, value: TorchValue, scopes: readonly NameTable[], at: At): void {
    switch (target.kind) {
      case "name":
        this.assignName(scopes, target.name, value);
        this.#listener.kept(target.name, value, at);
        return;
      case "list":
        for (const [index, item] of this.evaluator.spread(target, value).entries()) {
          const inner = target.items[index];
          if (inner !== undefined) this.#assign(inner.kind === "starred" ? inner.value : inner, item, scopes, at);
        }
        return;
      case "attribute": {
        const object = this.evaluator.value(target.object, scopes);
        const path = dottedName(target) ?? `….${target.name}`;
        if (object.kind === "unknown" || object.kind === "object" || object.kind === "class") {
          this.#around.state.set(object.attributes, target.name, value);
        }
        this.#listener.assigned(object, target.name, value, target.at, path);
        this.#listener.kept(path, value, at);
        return;
      }
      case "subscript": {
        const object = this.evaluator.value(target.object, scopes);
        if (object.kind === "unknown" || object.kind === "mapping") return;
        const key = target.index === undefined ? undefined : this.evaluator.value(target.index, scopes);
        if (object.kind === "dict") this.#copied(object.entries.length, at);
        const changed =
          object.kind === "dict" && key !== undefined
            ? withEntry(object, key, value)
            : unknownValue(target.at.text, at, "it is not known after this assignment");
        if (dottedName(target.object) !== undefined) this.#listener.kept(dottedName(target.object) ?? "", changed, at);
        this.#replace(object, changed, scopes, at);
        return;
      }
      default:
        throw this.evaluator.error(target.at, "only a name can be assigned to");
    }
  }

  /** Calls a function of the text. */
  invoke(fn: FunctionValue, call: EvaluatedCall): TorchValue {
    const { syntax, scopes } = fn;
    if (
      this.#calls >= deepestCall ||
      ("body" in syntax && this.#active.has(syntax.body) && this.#calls > deepestCall / 3)
    ) {
      return unknownValue(`${call.name}(…)`, call.at, "it calls itself too deeply");
    }
    const binding = {
      source: this.#around.source,
      given: (name: string) => this.#around.given(name),
      fallback: (expression: Expression) => this.evaluator.value(expression, scopes),
    };
    const inner = [...scopes, boundParameters(fn, call, binding)];
    if ("result" in syntax) return this.evaluator.value(syntax.result, inner);
    this.#calls++;
    this.#stack.push(inner);
    this.#active.add(syntax.body);
    try {
      const outcome = this.body(syntax.body, inner);
      const nothing: TorchValue = { kind: "none" };
      if (outcome.returned === undefined) return nothing;
      return outcome.next === undefined ? outcome.returned : (chosenOf(call.at, outcome.returned, nothing) ?? nothing);
    } finally {
      this.#calls--;
      this.#stack.pop();
      if (this.#calls === 0) this.#active.clear();
    }
  }

  /** Makes an instance of a class of the text, and runs its `__init__`. */
  instantiate(type: ClassValue, call: EvaluatedCall): ObjectValue {
    const object: ObjectValue = { kind: "object", name: `${type.name}(…)`, type, attributes: new Map() };
    const init = this.evaluator.attributeOf(object, "__init__", call.at, "__init__");
    if (init.kind === "function") this.invoke(init, call);
    else {
      object.attributes.delete("__init__");
      // A data class: its fields are arguments.
      const fields = [...type.attributes.keys()];
      call.args.forEach(({ keyword, value }, index) => {
        const name = keyword?.text ?? fields[index];
        if (name !== undefined) this.#around.state.set(object.attributes, name, value);
      });
    }
    return object;
  }
}

const harmlessDecorators = new Set(["staticmethod", "no_grad", "cache", "lru_cache", "dataclass", "inference_mode"]);
