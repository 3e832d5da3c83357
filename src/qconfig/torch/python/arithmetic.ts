/** Python's arithmetic on numbers: whole numbers stay whole, `//` rounds down, `%` has the divisor's sign. */
import { roundHalfEven } from "../../../base/rounding.ts";

/** A Python int or float. */
export interface PythonNumber {
  readonly kind: "number";
  readonly value: number;
  readonly integer: boolean;
}

/** Makes a Python number; an integer has no negative zero. */
export function pythonNumber(value: number, integer: boolean): PythonNumber {
  return { kind: "number", value: Object.is(value, -0) && integer ? 0 : value, integer };
}

/** `left operator right`; undefined where Python would fail (a division by 0, bits of a float). */
export function binaryOperation(operator: string, left: PythonNumber, right: PythonNumber): PythonNumber | undefined {
  const [a, b] = [left.value, right.value];
  const integer = left.integer && right.integer;
  const result = (value: number, whole = integer) => (Number.isFinite(value) ? pythonNumber(value, whole) : undefined);
  switch (operator) {
    case "+":
      return result(a + b);
    case "-":
      return result(a - b);
    case "*":
      return result(a * b);
    case "/":
      return b === 0 ? undefined : result(a / b, false);
    case "//":
      return b === 0 ? undefined : result(Math.floor(a / b));
    case "%":
      return b === 0 ? undefined : result(a - b * Math.floor(a / b));
    case "**":
      return result(a ** b, integer && b >= 0);
    case "<<":
      return integer && b >= 0 ? result(a * 2 ** b) : undefined;
    case ">>":
      return integer && b >= 0 ? result(Math.floor(a / 2 ** b)) : undefined;
    case "&":
      return integer ? result(Number(BigInt(a) & BigInt(b))) : undefined;
    case "|":
      return integer ? result(Number(BigInt(a) | BigInt(b))) : undefined;
    case "^":
      return integer ? result(Number(BigInt(a) ^ BigInt(b))) : undefined;
    default:
      return undefined;
  }
}

/** `operator operand`; undefined for `~` of a float. */
export function unaryOperation(operator: string, operand: PythonNumber): PythonNumber | undefined {
  if (operator === "+") return operand;
  if (operator === "-") return pythonNumber(-operand.value, operand.integer);
  return operand.integer ? pythonNumber(-operand.value - 1, true) : undefined;
}

/** Python's functions of numbers that configurations use; undefined where Python would fail. */
export function numericFunction(name: string, numbers: readonly PythonNumber[]): PythonNumber | undefined {
  const [first, second] = numbers;
  if (first === undefined) return undefined;
  const values = numbers.map(({ value }) => value);
  const integer = numbers.every((number) => number.integer);
  switch (name) {
    case "int":
      return pythonNumber(Math.trunc(first.value), true);
    case "float":
      return pythonNumber(first.value, false);
    case "abs":
      return pythonNumber(Math.abs(first.value), first.integer);
    case "round":
      return pythonNumber(roundHalfEven(first.value), true);
    case "min":
      return pythonNumber(Math.min(...values), integer);
    case "max":
      return pythonNumber(Math.max(...values), integer);
    case "pow":
      return second === undefined ? undefined : binaryOperation("**", first, second);
    default:
      return undefined;
  }
}

/** A float as Python writes it: `7.0`. */
export function pythonText(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
