/** Which QConfig of a script counts: the one that a model was prepared with, else the one that it was given, else the only one. */
import { ConfigError, type SubbyteError } from "../../errors.ts";
import { wrongKind } from "./arguments.ts";
import { tensorQuantizationOf } from "./convert.ts";
import { modelCalls, torchNames } from "./names.ts";
import { type At, placeOf } from "./python/source.ts";
import type { Kept, ModuleRule, Script, Setting } from "./script.ts";
import { QConfig } from "./torch.ts";
import { type ArgumentPlaces, type FormValue, type QConfigValue, sameValue, type TorchValue } from "./values.ts";

/** A remark on how a script was read, with its place. */
export interface ReadingNote {
  readonly where: string;
  readonly text: string;
}

/** A QConfig for single modules. */
export interface ModuleQConfig {
  /** By a module's name, or by the type of modules, such as Conv2d. */
  readonly selector: "name" | "type";
  readonly text: string;
  readonly qconfig: QConfig | null;
}

/** What a script configures. */
export interface Chosen {
  readonly qconfig: QConfig;
  readonly places: QConfigValue["places"];
  readonly modules: readonly ModuleQConfig[];
  readonly linearOnly: boolean;
  readonly notes: readonly ReadingNote[];
}

const nothing: QConfig = new QConfig({ activation: null, weight: null });
const nowhere: ArgumentPlaces = new Map();

/** Chooses. @throws ConfigError where there is none, or each of several could count. */
export function chooseQConfig(script: Script): Chosen {
  throwNotUnderstood(script);
  const { setting, chosen } = choose(script);
  return { ...chosen, notes: unique([...chosen.notes, ...notFollowed(script, setting)]) };
}

function choose(script: Script): { readonly setting?: Setting; readonly chosen: Chosen } {
  const found = settingFrom(script) ?? (runAlsoDefinitions(script) ? settingFrom(script) : undefined);
  if (found !== undefined) return { setting: found, chosen: chosenFrom(script, found) };
  const made = onlyQConfig(script);
  if (made === undefined) return { chosen: fromForms(script) };
  return { chosen: { ...chosenParts(made.value), modules: [], notes: remarksOf(script, made.value, made.at) } };
}

/** What may give modules another QConfig and is no part of the chosen one, with its line. */
function notFollowed(script: Script, setting: Setting | undefined): ReadingNote[] {
  const owners = new Set([setting?.owner, ...(setting?.rules ?? []).map(({ owner }) => owner)]);
  // A variable is a model of its own; what a call, an index or a loop gives may be a module of the chosen one.
  const isOther = ({ object }: Script["assignments"][number]) =>
    owners.has(object.attributes) ||
    object.kind !== "unknown" ||
    (!object.isEachModule && /^[\w.]+$/.test(object.name));
  const placeKey = ({ line, column }: At) => `${line}:${column}`;
  const followed = new Set(script.assignments.filter(isOther).map(({ at }) => placeKey(at)));
  const text = ({ line }: At) => short(script.source.text.split("\n")[line - 1] ?? "");
  return [...script.writes.filter((at) => !followed.has(placeKey(at))), ...script.unknownSettings].map((at) => ({
    where: placeOf(script.source, at),
    text: `not followed: ${text(at)}; it may give modules another QConfig than the one explained`,
  }));
}

/** Functions that nothing calls are called where the rest of the script says nothing. */
function runAlsoDefinitions(script: Script): boolean {
  const isQuiet = script.forms().length === 0 && !script.keptValues.some(({ value }) => value.kind === "qconfig");
  if (isQuiet) script.runDefinitions();
  return isQuiet;
}

function settingFrom(script: Script): Setting | undefined {
  return (
    only(script, script.prepared, "is prepared") ??
    only(script, assignedSettings(script), "gets a QConfig") ??
    only(script, mappings(script), "is made")
  );
}

/** The one setting, or the last of several that say the same. @throws ConfigError when they differ. */
function only(script: Script, settings: readonly Setting[], verb: string): Setting | undefined {
  const last = settings.at(-1);
  const other = settings.find((setting) => last !== undefined && !sameSetting(setting, last));
  if (last === undefined || other === undefined) return last;
  throw new ConfigError(
    `there are several QConfigs: ${other.name} (line ${other.at.line}) ${verb} with one, and ${last.name} (line ${last.at.line}) with another`,
    { where: placeOf(script.source, last.at), remedy: "Paste only the lines of the one that you mean." },
  );
}

function sameSetting(a: Setting, b: Setting): boolean {
  const same = (x: TorchValue | undefined, y: TorchValue | undefined) =>
    x === y || (x !== undefined && y !== undefined && sameValue(x, y));
  return (
    same(a.global, b.global) &&
    a.rules.length === b.rules.length &&
    a.rules.every((rule, index) => rule.text === b.rules[index]?.text && same(rule.value, b.rules[index]?.value))
  );
}

/** The models that were given a QConfig, without those that are modules of another one. */
function assignedSettings(script: Script): Setting[] {
  const last = new Map(script.assignments.map((assignment) => [assignment.object.attributes, assignment]));
  const settings = [...last.values()].map(({ object, path, at, conditions }) => ({
    object,
    setting: withinModel(script.settingOf(object, path, at, conditions)),
  }));
  const modules = new Set(settings.flatMap(({ setting }) => setting.rules.map(({ owner }) => owner)));
  const roots = settings.filter(({ object }) => !modules.has(object.attributes));
  return roots
    .map(({ setting }) => setting)
    .filter(({ global, rules }) => global !== undefined || rules.some(({ value }) => value.kind !== "none"));
}

/** `model.fc.qconfig` without one of the model itself is a QConfig of a module. */
function withinModel(setting: Setting): Setting {
  const parts = setting.name.split(".").slice(setting.name.startsWith("self.") ? 1 : 0, -1);
  const { global, ...rest } = setting;
  if (parts.length < 2 || global === undefined) return setting;
  const [, ...module] = parts;
  return { ...rest, rules: [{ selector: "name", text: module.join("."), value: global }, ...setting.rules] };
}

function mappings(script: Script): Setting[] {
  // A dict gets its entries one by one: the last value of a name is the one that counts.
  const last = new Map<unknown, Kept>();
  for (const kept of script.keptValues) {
    if (kept.value.kind === "mapping") last.set(kept.value.rules, kept);
    if (kept.value.kind === "dict" && kept.name !== "") last.set(kept.name, kept);
  }
  return [...last.values()].flatMap(({ name, value, at }) => {
    const setting = script.settingOfValue(value, name === "" ? "a mapping" : name, at, []);
    return setting?.global === undefined ? [] : [setting];
  });
}

function chosenFrom(script: Script, setting: Setting): Chosen {
  const notes: ReadingNote[] = setting.conditions.map((condition) => assumed(script, condition));
  const assigned = script.assignments.filter(({ path }) => path === setting.name);
  for (const { conditions } of assigned) notes.push(...conditions.map((condition) => assumed(script, condition)));
  const each = setting.rules.filter(({ selector }) => selector === "each");
  const rules = setting.rules.filter(({ selector }) => selector !== "each");
  const [first] = each.length > 0 ? each : rules;
  let { global } = setting;
  if (global === undefined && first !== undefined) {
    // Without one for the model, a single QConfig of its modules is explained as if it were.
    const value = new Set(setting.rules.map((rule) => rule.value)).size === 1 ? first.value : undefined;
    if (value === undefined) throw severalModules(script, setting);
    global = value;
    const which =
      each.length > 0
        ? "the modules that its loop chooses"
        : `${setting.rules.map(({ text }) => text).join(", ")} alone`;
    notes.push({
      where: placeOf(script.source, setting.at),
      text: `the QConfig is for ${which}; it is explained as if it were for the whole model`,
    });
  }
  const value = resolved(script, setting, global ?? { kind: "none" }, notes);
  if (value === null)
    notes.push({ where: placeOf(script.source, setting.at), text: `${setting.name} is None: nothing is quantized` });
  const modules = setting.global === undefined ? [] : rules.flatMap((rule) => moduleOf(script, setting, rule, notes));
  if (setting.global !== undefined && each.length > 0) {
    notes.push({
      where: placeOf(script.source, setting.at),
      text: "not evaluated: the loop that gives some modules another QConfig",
    });
  }
  const parts =
    value === null
      ? { qconfig: nothing, places: { activation: nowhere, weight: nowhere }, linearOnly: false }
      : chosenParts(value);
  return {
    ...parts,
    modules,
    notes: unique([...notes, ...(value === null ? [] : remarksOf(script, value, setting.at))]),
  };
}

function assumed(script: Script, condition: At): ReadingNote {
  return {
    where: placeOf(script.source, condition),
    text: `not evaluated: ${short(condition.text)}; explained as if this part of the script ran`,
  };
}

function severalModules(script: Script, setting: Setting): ConfigError {
  const names = setting.rules.map(({ text }) => text).slice(0, 4);
  return new ConfigError(
    `there are several QConfigs, for the modules ${names.join(", ")}, and none for the whole model`,
    {
      where: placeOf(script.source, setting.at),
      remedy: "Paste the lines of one, or give the model itself a QConfig.",
    },
  );
}

/** The QConfig that a value is; null for None. @throws ConfigError where it is not known. */
function resolved(script: Script, setting: Setting, value: TorchValue, notes: ReadingNote[]): QConfigValue | null {
  if (value.kind === "none") return null;
  if (value.kind === "qconfig") return value;
  if (value.kind !== "choice") throw wrongKind(script.source, setting.at, "qconfig", value);
  const unknown = value.options.find(({ kind }) => kind !== "qconfig" && kind !== "none");
  if (unknown !== undefined) throw wrongKind(script.source, setting.at, "qconfig", unknown);
  const [first, ...more] = value.options.flatMap((option) => (option.kind === "qconfig" ? [option] : []));
  if (first === undefined) return null;
  const place = placeOf(script.source, value.at);
  if (more.length > 0) {
    const lines = [first, ...more].flatMap(({ at }) => (at === undefined ? [] : [at.line]));
    const made = new Set(lines).size < 2 ? "" : `, those of the lines ${[...new Set(lines)].join(" and ")}`;
    throw new ConfigError(
      `there are several QConfigs${made}, and which one counts depends on what is not evaluated: ${short(value.at.text)}`,
      {
        where: place,
        remedy: "Give the variable in it with --define, or paste only the lines of the case that you mean.",
      },
    );
  }
  notes.push({ where: place, text: `not evaluated: ${short(value.at.text)}; explained for the case that quantizes` });
  return first;
}

function moduleOf(script: Script, setting: Setting, rule: ModuleRule, notes: ReadingNote[]): ModuleQConfig[] {
  const where = placeOf(script.source, setting.at);
  if (rule.selector !== "name" && rule.selector !== "type") {
    notes.push({
      where,
      text: `not evaluated: the QConfig for ${short(rule.text)}, which is chosen by a ${rule.selector}`,
    });
    return [];
  }
  const value = resolved(script, setting, rule.value, notes);
  return [{ selector: rule.selector, text: rule.text, qconfig: value?.qconfig ?? null }];
}

function chosenParts(value: QConfigValue): Pick<Chosen, "qconfig" | "places" | "linearOnly"> {
  return { qconfig: value.qconfig, places: value.places, linearOnly: value.linearOnly === true };
}

function remarksOf(script: Script, value: QConfigValue, at: At): ReadingNote[] {
  const where = placeOf(script.source, value.at ?? at);
  return (value.remarks ?? []).map((text) => ({ where, text }));
}

/** The only QConfig that the script makes. @throws ConfigError where there are several. */
function onlyQConfig(script: Script): (Kept & { readonly value: QConfigValue }) | undefined {
  const made: (Kept & { readonly value: QConfigValue })[] = [];
  for (const { name, value, at } of script.keptValues) {
    if (value.kind !== "qconfig") continue;
    const known = made.findIndex((other) => sameValue(other.value, value));
    if (known < 0) made.push({ name, value, at });
    else if (name !== "" && made[known]?.name === "") made[known] = { name, value, at };
  }
  const choice = script.keptValues.find(
    ({ value }) => value.kind === "choice" && value.options.every(({ kind }) => kind === "qconfig"),
  );
  const [first, second] = made;
  if (first !== undefined && second === undefined && choice === undefined) {
    throwFailure(script);
    return first;
  }
  if (first === undefined) return undefined;
  const names = made.map(({ name, value, at }) => `${name === "" ? "one" : name} (line ${value.at?.line ?? at.line})`);
  throw new ConfigError(`there are several QConfigs, ${names.join(" and ")}, and none of them is given to a model`, {
    where: script.source.name,
    remedy: `Add the line that says which one counts, such as model.qconfig = ${made.find(({ name }) => name !== "")?.name ?? "…"}.`,
  });
}

/** @throws SubbyteError the first one that a part of the script ended with. */
function throwFailure(script: Script): void {
  const [failure] = script.errors;
  if (failure !== undefined) throw failure.error;
}

/** @throws ConfigError for a part that is not understood and speaks of quantization. */
function throwNotUnderstood({ opaquePlaces, source }: Script): void {
  const isAbout = (name: string) => name === "qconfig" || torchNames.has(name) || modelCalls.has(name);
  const opaque = opaquePlaces.find(({ names }) => names.some(isAbout));
  if (opaque === undefined) return;
  throw new ConfigError("this part of the script is not understood, and may say how the model is quantized", {
    where: placeOf(source, opaque.at),
    remedy: "Paste the lines in it without what stands around them.",
  });
}

/** Single modules: weights by their name or their codes. */
function fromForms(script: Script): Chosen {
  const forms = script.forms();
  throwFailure(script);
  const forWeights = ({ name, value }: { readonly name: string; readonly value: FormValue }): boolean => {
    if (/weight|^w|_w/i.test(name)) return true;
    if (/act|^a|_a/i.test(name)) return false;
    const { granularity, signed } = tensorQuantizationOf(value.form, `${script.source.name} ${name}`.trim());
    return granularity !== "tensor" || signed === true;
  };
  const weights = forms.filter(forWeights);
  const activations = forms.filter((form) => !weights.includes(form));
  const [weight, activation] = [weights.at(-1), activations.at(-1)];
  if (weight === undefined && activation === undefined) throw noQConfig(script);
  const notes = [weights, activations].flatMap((kind): ReadingNote[] => {
    const last = kind.at(-1);
    const named = kind.filter(({ name }) => name !== "");
    const other = named.find(
      ({ name, value }) => last !== undefined && name !== last.name && !sameValue(value, last.value),
    );
    if (last === undefined || other === undefined) return [];
    return [
      {
        where: placeOf(script.source, last.at),
        text: `there are several modules, and no QConfig that says which one counts; ${last.name} is explained, and ${other.name} (line ${other.at.line}) is not`,
      },
    ];
  });
  return {
    qconfig: new QConfig({ activation: activation?.value.form ?? null, weight: weight?.value.form ?? null }),
    places: { activation: activation?.value.places ?? nowhere, weight: weight?.value.places ?? nowhere },
    modules: [],
    linearOnly: false,
    notes,
  };
}

function noQConfig(script: Script): SubbyteError {
  const unknown = script.keptValues.find(({ value }) => value.kind === "unknown" && value.error !== undefined)?.value;
  if (unknown?.kind === "unknown" && unknown.error !== undefined) return unknown.error;
  return new ConfigError("there is no QConfig and no FakeQuantize in it", {
    where: script.source.name,
    remedy: "Paste the lines that make the QConfig: QConfig(activation=FakeQuantize.with_args(…), weight=…).",
  });
}

function short(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

function unique(notes: readonly ReadingNote[]): ReadingNote[] {
  return [...new Map([...notes].reverse().map((note) => [note.where, note])).values()].reverse();
}
