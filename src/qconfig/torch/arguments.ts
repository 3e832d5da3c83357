/** Arguments of torch's functions and forms: which there are, and of which kind each is. */
import { didYouMean } from "../../base/nearest-word.ts";
import type { SubbyteError } from "../../errors.ts";
import { moduleArguments, torchArguments, torchNames } from "./names.ts";
import { pythonText } from "./python/arithmetic.ts";
import type { EvaluatedArgument, EvaluatedCall } from "./python/evaluate.ts";
import { type At, notUnderstood, type TorchSource } from "./python/source.ts";
import type { FakeQuantizeArguments } from "./torch.ts";
import { type FormValue, kindWords, type TorchValue, type UnknownValue } from "./values.ts";

/** What to paste for a class or function that is not in the text. */
const definitionRemedy =
  "Paste the lines that define it, or write FakeQuantize.with_args(observer=MovingAverageMinMaxObserver, quant_min=…, quant_max=…, dtype=…) in its place.";

/** The error for a value of another kind. One that is not known says why, and what to give. */
export function wrongKind(
  source: TorchSource,
  at: At,
  expected: TorchValue["kind"] | "integer",
  got: TorchValue,
): SubbyteError {
  if (got.kind === "unknown") return got.error ?? notKnown(source, expected, got);
  if (got.kind === "module") {
    const name = got.path.at(-1) ?? "";
    const remedy = didYouMean(name, [...torchNames.keys()]) ?? definitionRemedy;
    return notUnderstood(
      source,
      { ...(got.at ?? at), text: name },
      "torch has no such name that configurations use",
      remedy,
    );
  }
  if (got.kind === "choice") {
    return notUnderstood(
      source,
      at,
      `its value depends on line ${got.at.line}, which is not evaluated: ${got.at.text}`,
      "Paste only the lines of the case that you mean, or give the variable with --define.",
    );
  }
  return notUnderstood(source, at, `expected ${kindWords[expected]}, got ${kindWords[got.kind]}`);
}

const classes: readonly string[] = ["fakeQuantize", "observer", "qconfig", "dtype", "qscheme", "word"];

function notKnown(source: TorchSource, expected: string, got: UnknownValue): SubbyteError {
  const name = got.name.split(".").at(-1) ?? got.name;
  const isClass = classes.includes(expected);
  // A short name is a variable, and every short name is near to some other.
  const near = isClass && name.length > 4 ? didYouMean(name, [...torchNames.keys()]) : undefined;
  const isAttribute = name !== got.name && got.isFree === true;
  const reason = isClass && isAttribute ? "torch has no such name that configurations use" : got.reason;
  const sample = expected === "truth" ? "True" : expected === "string" ? "fbgemm" : "4";
  const define = `Assign it in the text, or give its value: --define ${got.name}=${sample}.`;
  const remedy =
    near ??
    (isClass ? definitionRemedy : got.isVariable && !/[…()]/.test(got.name) ? define : "Write its value in its place.");
  return notUnderstood(source, { ...got.at, text: isClass ? name : got.name }, reason, remedy);
}

/** Returns a form's arguments with those of a call, and the keywords' positions. @throws ConfigError for one that torch does not have. */
export function formArguments(
  source: TorchSource,
  target: Extract<TorchValue, { kind: "observer" | "fakeQuantize" }>,
  args: readonly EvaluatedArgument[],
): TorchValue {
  const places = new Map(target.places);
  let added: FakeQuantizeArguments = {};
  for (const argument of args) {
    const { keyword, value, at } = argument;
    if (value.kind === "unknown" && value.error !== undefined) throw value.error;
    if (keyword === undefined) {
      throw notUnderstood(source, at, "with_args takes keyword arguments only", "Write name=value.");
    }
    // These say where a tensor lies, not how it is quantized.
    if (keyword.text === "factory_kwargs" || (keyword.text === "is_dynamic" && value.kind === "truth" && !value.value))
      continue;
    if (keyword.text === "observer" && target.kind === "fakeQuantize") {
      if (value.kind !== "observer") throw wrongKind(source, at, "observer", value);
      for (const [name, place] of value.places) places.set(name, place);
      added = { ...added, observer: value.form };
    } else {
      added = { ...added, ...argumentOf(source, argument, keyword, target) };
    }
    places.set(keyword.text, keyword);
  }
  if (target.kind === "fakeQuantize") return { kind: "fakeQuantize", form: target.form.withArgs(added), places };
  const { observer: _observer, ...own } = added;
  return { kind: "observer", form: target.form.withArgs(own), places };
}

function argumentOf(
  source: TorchSource,
  { value, at }: EvaluatedArgument,
  keyword: At,
  target: Extract<TorchValue, { kind: "observer" | "fakeQuantize" }>,
): FakeQuantizeArguments {
  const special = target.kind === "fakeQuantize" ? moduleArguments[target.form.module] : undefined;
  const facts = torchArguments.get(keyword.text) ?? special?.get(keyword.text);
  if (facts === undefined) {
    const names = [
      ...torchArguments.keys(),
      ...(special?.keys() ?? []),
      ...(target.kind === "fakeQuantize" ? ["observer"] : []),
    ];
    const remedy = didYouMean(keyword.text, names) ?? `There are: ${names.join(", ")}.`;
    throw notUnderstood(source, keyword, "there is no such argument", remedy);
  }
  const expected = facts.kind === "integer" ? "number" : facts.kind;
  // None stands for the default.
  if (value.kind === "none" && (facts.kind === "integer" || facts.kind === "dtype")) return {};
  if (value.kind !== expected) throw wrongKind(source, at, facts.kind, value);
  if (facts.kind === "integer" && value.kind === "number" && !value.integer) {
    const remedy = Number.isInteger(value.value) ? "Divide with //, or write int(…)." : "Give a whole number.";
    throw notUnderstood(
      source,
      keyword,
      `its value is the float ${pythonText(value.value)}, but torch expects an int`,
      remedy,
    );
  }
  return "value" in value ? { [facts.name]: value.value } : {};
}

/** Arguments by the name that position or keyword gives them. @throws ConfigError for one that there is not, or twice. */
export function boundArguments(
  source: TorchSource,
  call: EvaluatedCall,
  names: readonly string[],
): Map<string, EvaluatedArgument> {
  const bound = new Map<string, EvaluatedArgument>();
  call.args.forEach((argument, index) => {
    const name = argument.keyword?.text ?? names[index];
    const at = argument.keyword ?? argument.at;
    if (name === undefined || !names.includes(name)) {
      if (argument.value.kind === "unknown" && argument.value.error !== undefined) throw argument.value.error;
      throw notUnderstood(source, at, "there is no such argument", `There are: ${names.join(", ")}.`);
    }
    if (bound.has(name)) throw notUnderstood(source, at, `${name} is given twice`);
    bound.set(name, argument);
  });
  return bound;
}

/** A fake-quantize module of a QConfig, or null for None. @throws ConfigError for anything else. */
export function partOf(source: TorchSource, argument: EvaluatedArgument): FormValue | null {
  const { value, at } = argument;
  if (value.kind === "none") return null;
  if (value.kind === "fakeQuantize") return value;
  if (value.kind !== "observer") throw wrongKind(source, at, "fakeQuantize", value);
  throw notUnderstood(
    source,
    at,
    `expected ${kindWords.fakeQuantize}, got ${kindWords.observer}, which only watches`,
    "Write FakeQuantize.with_args(observer=…).",
  );
}
