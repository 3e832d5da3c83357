/** Runs a script and keeps what it says about quantization: QConfigs that it makes, assigns and prepares models with. */
import { SubbyteError } from "../../errors.ts";
import { wrongKind } from "./arguments.ts";
import { callTorch, callTorchMethod, instanceError, rulesOfDict } from "./calls.ts";
import { modelCalls, plainNames, torchNames } from "./names.ts";
import { pythonNumber } from "./python/arithmetic.ts";
import { callPython } from "./python/builtins.ts";
import type { EvaluatedArgument, EvaluatedCall, Surroundings } from "./python/evaluate.ts";
import { type Listener, TooManySteps } from "./python/flow.ts";
import { parsePython } from "./python/parse/parse.ts";
import { attributeWrites } from "./python/parse/writes.ts";
import { Runner } from "./python/run.ts";
import { type At, notUnderstood, placeOf, type TorchSource } from "./python/source.ts";
import { State } from "./python/state.ts";
import type { Body } from "./python/syntax.ts";
import { type FormValue, type NameTable, type TorchValue, unknownValue } from "./values.ts";

/** The QConfig of a model, or of a mapping, with those of its modules. */
export interface Setting {
  /** Absent where only modules have one. */
  readonly global?: TorchValue;
  readonly rules: readonly ModuleRule[];
  /** The model; absent for a mapping. */
  readonly owner?: NameTable;
  /** As errors call it: `model.qconfig`. */
  readonly name: string;
  readonly at: At;
  /** Conditions that are not evaluated, under which it stands. */
  readonly conditions: readonly At[];
}

/** A QConfig for some modules. */
export interface ModuleRule {
  /** `name`, `type`, `pattern` or `order`, of a mapping; `each`: those of a loop over modules. */
  readonly selector: string;
  readonly text: string;
  readonly value: TorchValue;
  /** The module, where the script assigned to one. */
  readonly owner?: NameTable;
}

/** A value that the script made or kept. */
export interface Kept {
  readonly name: string;
  readonly value: TorchValue;
  readonly at: At;
}

type Model = Extract<TorchValue, { kind: "unknown" | "object" | "class" }>;

/** The values that a name can be given from outside. */
export type Definitions = Readonly<Record<string, number | string | boolean>>;

const mostSteps = 200_000;
/** How far below a model its modules are looked for. */
const deepestModule = 8;

/** A script, run. */
export class Script implements Listener, Surroundings {
  readonly source: TorchSource;
  readonly state = new State();
  readonly used = new Set<string>();
  readonly assignments: {
    readonly object: Model;
    readonly path: string;
    readonly at: At;
    readonly conditions: readonly At[];
  }[] = [];
  readonly prepared: Setting[] = [];
  readonly keptValues: Kept[] = [];
  readonly errors: { readonly error: SubbyteError; readonly at: At }[] = [];
  readonly opaquePlaces: { readonly at: At; readonly names: readonly string[] }[] = [];
  readonly fusions: { readonly at: At; readonly conditions: readonly At[] }[] = [];
  /** Arguments of calls that prepare a model, which may configure it and are not known. */
  readonly unknownSettings: At[] = [];
  readonly #given: ReadonlyMap<string, number | string | boolean>;
  readonly #runner: Runner;
  readonly #globals: NameTable = new Map();
  readonly #invoked = new Set<unknown>();
  #steps = 0;
  #body: Body = [];

  constructor(source: TorchSource, definitions: Definitions) {
    this.source = source;
    this.#given = new Map(Object.entries(definitions));
    this.#runner = new Runner(this, this);
  }

  run(): void {
    this.#body = parsePython(this.source);
    const outcome = this.#runner.body(this.#body, [this.#globals]);
    // A pasted part of a function has its `return` at the top.
    if (outcome.returned !== undefined) this.kept("", outcome.returned, { line: 1, column: 1, text: "return" });
  }

  /** The places that may give a module a QConfig. */
  get writes(): readonly At[] {
    return attributeWrites(this.#body, qconfigName, (call) => modelCalls.has(call) || torchNames.has(call));
  }

  /** Calls what the script only defines: functions, and methods of classes. */
  runDefinitions(): void {
    const call: EvaluatedCall = { name: "…", nameAt: start, at: start, args: [] };
    const invoke = (value: TorchValue) => {
      if (value.kind !== "function" || this.#invoked.has(value.syntax)) return;
      const result = this.#attempt(() => this.call(value, call));
      if (result !== undefined) this.kept("", result, start);
    };
    for (const value of [...this.#globals.values()]) {
      if (value.kind === "class" && !this.#invoked.has(value)) {
        const object = this.#attempt(() => this.#runner.instantiate(value, call));
        for (const method of value.attributes.values()) {
          invoke(method.kind === "function" && object !== undefined ? { ...method, self: object } : method);
        }
      } else invoke(value);
    }
  }

  #attempt<T>(run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      if (error instanceof TooManySteps) throw error;
      if (!(error instanceof SubbyteError)) throw error;
      this.failed(error, start);
      return undefined;
    }
  }

  /** The QConfigs of a model and of its modules, as they are now. */
  settingOf(object: Model, name: string, at: At, conditions: readonly At[]): Setting {
    const rules: ModuleRule[] = [];
    const seen = new Set<NameTable>([object.attributes]);
    const visit = (model: Model, path: readonly string[]): void => {
      if (path.length > deepestModule) return;
      for (const [key, value] of model.attributes) {
        if (key === qconfigName || (value.kind !== "unknown" && value.kind !== "object") || seen.has(value.attributes))
          continue;
        seen.add(value.attributes);
        const inner = [...path, key];
        const own = value.attributes.get(qconfigName);
        if (own !== undefined)
          rules.push({
            selector: value.kind === "unknown" && value.isEachModule === true ? "each" : "name",
            text: inner.join("."),
            value: own,
            owner: value.attributes,
          });
        visit(value, inner);
      }
    };
    visit(object, []);
    const global = object.attributes.get(qconfigName);
    return { ...(global === undefined ? {} : { global }), rules, owner: object.attributes, name, at, conditions };
  }

  /** The setting of a QConfigMapping, a dict of the old form, or a QConfig. */
  settingOfValue(value: TorchValue, name: string, at: At, conditions: readonly At[]): Setting | undefined {
    const rules = value.kind === "mapping" ? value.rules : rulesOfDict(value);
    if (rules === undefined) {
      const isSetting =
        value.kind === "qconfig" || value.kind === "choice" || (value.kind === "unknown" && value.error !== undefined);
      return isSetting ? { global: value, rules: [], name, at, conditions } : undefined;
    }
    const global = rules.get("global");
    return {
      ...(global === undefined ? {} : { global }),
      rules: [...rules].flatMap(([key, inner]): ModuleRule[] => {
        const [, selector, text] = /^(\w+) (.*)$/s.exec(key) ?? [];
        return selector === undefined || text === undefined ? [] : [{ selector, text, value: inner }];
      }),
      name,
      at,
      conditions,
    };
  }

  // What the evaluator asks for.

  named(name: string): TorchValue | undefined {
    return name === "__name__" ? { kind: "string", value: "__main__" } : plainNames.get(name);
  }

  member(name: string): TorchValue | undefined {
    const known = torchNames.get(name);
    if (known !== undefined) return known;
    return name === "deepcopy" ? { kind: "builtin", name } : undefined;
  }

  given(path: string): TorchValue | undefined {
    const value = this.#given.get(path);
    if (value === undefined) return undefined;
    this.used.add(path);
    if (typeof value === "number") return pythonNumber(value, Number.isInteger(value));
    return typeof value === "string" ? { kind: "string", value } : { kind: "truth", value };
  }

  step(at: At): void {
    if (++this.#steps <= mostSteps) return;
    throw new TooManySteps("the script takes too many steps to follow", {
      where: placeOf(this.source, at),
      remedy: "Paste only the lines that make the QConfig.",
    });
  }

  assignName(scopes: readonly NameTable[], name: string, value: TorchValue): void {
    this.#runner.assignName(scopes, name, value);
  }

  call(target: TorchValue, call: EvaluatedCall): TorchValue {
    const name = call.name.split(".").at(-1) ?? call.name;
    const operation = target.kind === "unknown" || target.kind === "module" ? modelCalls.get(name) : undefined;
    if (operation !== undefined) return this.#modelCall(operation, call);
    switch (target.kind) {
      case "builtin":
        return this.#builtin(target, call);
      case "function":
        this.#invoked.add(target.syntax);
        return this.#runner.invoke(target, call);
      case "class":
        this.#invoked.add(target);
        return this.#runner.instantiate(target, call);
      case "fakeQuantize":
      case "observer":
        throw instanceError(this.source, call);
      case "choice":
      case "object":
        return unknownValue(`${call.name}(…)`, call.nameAt, "this call is not evaluated");
      case "module":
        if (wrappers.has(name))
          return modelOf(call) ?? unknownValue(`${call.name}(…)`, call.nameAt, "it is not evaluated");
        return unknownValue(`${call.name}(…)`, call.nameAt, "this call is not evaluated");
      case "unknown": {
        const error = target.error === undefined ? {} : { error: target.error };
        const isEachModule = ["modules", "named_modules", "children", "named_children"].includes(name);
        if (wrappers.has(name)) return modelOf(call) ?? unknownValue(`${call.name}(…)`, call.nameAt, target.reason);
        return unknownValue(
          `${call.name}(…)`,
          call.nameAt,
          target.isVariable && target.isImported !== true ? "this call is not evaluated" : target.reason,
          {
            ...error,
            ...(isEachModule ? { isEachModule: true } : {}),
          },
        );
      }
      default:
        throw notUnderstood(this.source, call.nameAt, "this cannot be called");
    }
  }

  #builtin(target: Extract<TorchValue, { kind: "builtin" }>, call: EvaluatedCall): TorchValue {
    const made = callTorch(this.source, target.name, call);
    if (made !== undefined) {
      if (made.kind === "qconfig" || made.kind === "mapping") this.kept("", made, call.nameAt);
      return made;
    }
    const positional = call.args.filter(({ keyword }) => keyword === undefined).map(({ value }) => value);
    const named = call.args.flatMap(({ keyword, value }) =>
      keyword === undefined ? [] : [[keyword.text, value] as const],
    );
    const result = callPython(target.name, { positional, named }, call.at, target.self);
    if (result !== undefined) return result;
    const wrong = call.args.find(({ value }) => value.kind !== "number");
    if (wrong !== undefined) throw wrongKind(this.source, wrong.at, "number", wrong.value);
    throw notUnderstood(this.source, call.at, `${target.name} cannot take these numbers`);
  }

  method(object: TorchValue, call: EvaluatedCall, name: string): TorchValue | undefined {
    const made = callTorchMethod(this.source, this.state, object, name, call);
    if (made !== undefined) return made;
    // `model.to(device)`, `model.train()`: the same model.
    if (sameModel.has(name) && (object.kind === "unknown" || object.kind === "object")) return object;
    const operation = modelCalls.get(name);
    if (operation === undefined) return undefined;
    if (object.kind === "qconfig") {
      // torchao's quantizers: `quantizer.prepare(model)`.
      if (operation.prepares) this.#prepare({ ...call, args: [...call.args, { at: call.nameAt, value: object }] });
      return modelOf(call) ?? unknownValue(`${call.name}(…)`, call.nameAt, "it is not evaluated");
    }
    const isModule = object.kind === "module" || object.kind === "unknown";
    return isModule && (modelOf(call) !== undefined || operation.fuses)
      ? this.#modelCall(operation, call, object)
      : undefined;
  }

  #modelCall(
    operation: { readonly prepares: boolean; readonly fuses: boolean },
    call: EvaluatedCall,
    object?: TorchValue,
  ): TorchValue {
    const conditions = [...this.state.conditions];
    if (operation.fuses) this.fusions.push({ at: call.nameAt, conditions });
    if (operation.prepares) this.#prepare(call);
    return modelOf(call) ?? object ?? unknownValue(`${call.name}(…)`, call.nameAt, "it is not evaluated");
  }

  #prepare(call: EvaluatedCall): void {
    const conditions = [...this.state.conditions];
    const at = { ...call.nameAt, text: call.name };
    const given = call.args.slice(1).flatMap(({ value, keyword }) => {
      const isOther = keyword !== undefined && !settingKeywords.has(keyword.text);
      const setting = isOther ? undefined : this.settingOfValue(value, call.name, at, conditions);
      return setting === undefined ? [] : [setting];
    });
    const [first] = given;
    if (first !== undefined) this.prepared.push(first);
    else
      this.unknownSettings.push(
        ...call.args
          .slice(1)
          .filter(isPerhapsSetting)
          .map((argument) => argument.at),
      );
    const model = call.args[0]?.value;
    if (first === undefined && (model?.kind === "unknown" || model?.kind === "object")) {
      const setting = this.settingOf(model, call.args[0]?.at.text ?? call.name, at, conditions);
      if (setting.global !== undefined || setting.rules.some(({ value }) => value.kind !== "none")) {
        this.prepared.push(setting);
      }
    }
  }

  // What the runner tells.

  assigned(object: TorchValue, name: string, _value: TorchValue, at: At, path: string): void {
    if (name !== qconfigName) return;
    if (object.kind !== "unknown" && object.kind !== "object" && object.kind !== "class") return;
    this.assignments.push({ object, path, at, conditions: [...this.state.conditions] });
  }

  kept(name: string, value: TorchValue, at: At): void {
    this.keptValues.push({ name, value, at });
  }

  failed(error: SubbyteError, at: At): void {
    this.errors.push({ error, at });
  }

  skipped(at: At, names: readonly string[]): void {
    this.opaquePlaces.push({ at, names });
  }

  imported(path: readonly string[]): TorchValue {
    if (torchPackages.has(path[0] ?? "")) return { kind: "module", path };
    const name = path.join(".");
    return unknownValue(name, start, `it comes from ${name}, which is not in the text`, {
      isVariable: true,
      isImported: true,
    });
  }

  importedName(module: string, name: string, at: At): TorchValue {
    const path = module.split(".");
    // A class of another package may have the name of one of torch's.
    const isKnown = torchPackages.has(path[0] ?? "");
    const known = isKnown ? this.member(name) : undefined;
    if (known !== undefined) return known;
    if (isKnown) return { kind: "module", path: [...path, name], at };
    const reason = `it comes from ${module}, which is not in the text`;
    return unknownValue(name, at, reason, { isVariable: true, isImported: true });
  }

  /** The forms that were kept under a name, or alone in a line. */
  forms(): { readonly name: string; readonly value: FormValue; readonly at: At }[] {
    return this.keptValues.flatMap(({ name, value, at }) =>
      value.kind === "fakeQuantize" ? [{ name, value, at }] : [],
    );
  }
}

const start: At = { line: 1, column: 1, text: "" };
/** Packages of which the names are those of torch, or of Python. */
const torchPackages = new Set(["torch", "torchao", "executorch", "torchvision", "functools", "copy"]);
const qconfigName = "qconfig";
const settingKeywords = new Set(["qconfig_mapping", "qconfig_dict", "qconfig", "quantizer", "config"]);
const sameModel = new Set(["to", "cuda", "cpu", "train", "eval", "float"]);
const wrappers = new Set(["DataParallel", "DistributedDataParallel"]);

/** The second argument is a QConfigMapping, a configuration, or in eager mode the classes that modules become. */
function isPerhapsSetting({ keyword, value }: EvaluatedArgument, index: number): boolean {
  const isNamed = keyword === undefined ? index === 0 : keyword.text === "mapping" || settingKeywords.has(keyword.text);
  return isNamed && value.kind !== "none" && value.kind !== "truth";
}

function modelOf(call: EvaluatedCall): TorchValue | undefined {
  const model = call.args[0]?.value;
  return model?.kind === "unknown" || model?.kind === "object" ? model : undefined;
}
