/** Operators on abstract values: what is not known stays so, and of several values each is combined. */
import type { ConfigError } from "../../../errors.ts";
import { kindWords, type TorchValue, truthOf, unknownValue } from "../values.ts";
import { binaryOperation, unaryOperation } from "./arithmetic.ts";
import { compared } from "./builtins.ts";
import { type At, notUnderstood, type TorchSource } from "./source.ts";
import { chosenOf } from "./state.ts";

/** The longest list or text that is built. */
export const longestBuilt = 10_000;

/** An operator with the positions that errors about it name. */
export interface OperatorPlace {
  readonly source: TorchSource;
  readonly operator: string;
  readonly at: At;
  readonly leftAt: At;
  readonly rightAt: At;
}

const comparisons = /^(?:[<>]=?|[=!]=|in|not in|is|is not)$/;

/** Whether an operator compares. */
export function isComparison(operator: string): boolean {
  return comparisons.test(operator);
}

/** Whether a value may be any, so that an operation on it may give any. */
function isUndecided(value: TorchValue): boolean {
  return ["unknown", "object", "module"].includes(value.kind);
}

/** The value of a truth that may not be known. */
export function truthValue(truth: boolean | undefined, name: string, at: At): TorchValue {
  return truth === undefined
    ? unknownValue(name, at, "it depends on what is not known")
    : { kind: "truth", value: truth };
}

/**
 * The truth of a comparison; of `a < b < c`, with the truth of what stands before it.
 *
 * @param before The truth of `a < b`; true for a comparison alone.
 */
export function comparison(
  operator: string,
  before: boolean | undefined,
  left: TorchValue,
  right: TorchValue,
): boolean | undefined {
  const after = before === false ? false : compared(operator, left, right);
  return after === false ? false : before === undefined ? undefined : after;
}

/** `operator operand`. @throws ConfigError where Python would fail. */
export function unaryValue(place: OperatorPlace, operand: TorchValue): TorchValue {
  const { operator, at } = place;
  if (operator === "not") {
    const truth = truthOf(operand);
    return truthValue(truth === undefined ? undefined : !truth, "not …", at);
  }
  if (operand.kind === "choice") return ofEach(operand, (option) => unaryValue(place, option));
  if (isUndecided(operand)) return operand;
  const result = operand.kind === "number" ? unaryOperation(operator, operand) : undefined;
  if (result === undefined) throw uncombinable(place, operand, place.rightAt);
  return result;
}

/** `left operator right`, of an operator that computes. @throws ConfigError where Python would fail. */
export function binaryValue(place: OperatorPlace, left: TorchValue, right: TorchValue): TorchValue {
  const { operator, at } = place;
  if (left.kind === "choice") return ofEach(left, (option) => binaryValue(place, option, right));
  if (right.kind === "choice") return ofEach(right, (option) => binaryValue(place, left, option));
  if (isUndecided(left)) return left;
  if (isUndecided(right)) return right;
  if (left.kind === "string" && right.kind === "string" && operator === "+") {
    const value = left.value + right.value;
    return value.length > longestBuilt ? unknownValue("a text", at, "it is too long") : { kind: "string", value };
  }
  if (left.kind === "list" && right.kind === "list" && operator === "+") {
    const items = [...left.items, ...right.items];
    return items.length > longestBuilt ? unknownValue("a list", at, "it is too long") : { kind: "list", items };
  }
  if (left.kind === "string" || left.kind === "list" || left.kind === "dict") {
    if (operator === "%" || operator === "*" || operator === "|")
      return unknownValue("…", at, "this operation is not evaluated");
  }
  if (left.kind !== "number") throw uncombinable(place, left, place.leftAt);
  if (right.kind !== "number") throw uncombinable(place, right, place.rightAt);
  const result = binaryOperation(operator, left, right);
  if (result === undefined) throw uncombinable(place, left, at);
  return result;
}

function ofEach(
  choice: Extract<TorchValue, { kind: "choice" }>,
  combine: (option: TorchValue) => TorchValue,
): TorchValue {
  return choice.options.map(combine).reduce((all, value) => chosenOf(choice.at, all, value) ?? value);
}

function uncombinable({ source, at }: OperatorPlace, value: TorchValue, valueAt: At): ConfigError {
  if (value.kind !== "none" && value.kind !== "truth" && value.kind !== "string") {
    return notUnderstood(source, at, "these values cannot be combined in this way");
  }
  return notUnderstood(source, valueAt, `expected ${kindWords.number}, got ${kindWords[value.kind]}`);
}
