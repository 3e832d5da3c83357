/** Comparisons, boolean logic, and selection by a condition. */

import type { GraphBuilder, OperatorCall, Value } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/types.ts";
import { broadcastInputs, broadcastShapes, sumTo } from "../build/broadcast.ts";
import { foldBinary, foldUnary, foldVariadic } from "../build/fold/elementwise.ts";
import {
  type SymbolicRule,
  symbolicAnd,
  symbolicChoice,
  symbolicEqual,
  symbolicGreater,
  symbolicGreaterOrEqual,
  symbolicLess,
  symbolicLessOrEqual,
  symbolicNot,
  symbolicOr,
} from "../build/fold/symbolic.ts";
import { choiceOfEach } from "../build/functions-of-one.ts";
import { commonDtype, noGradient, type Operand, scalarOf, valuesOf } from "../build/operands.ts";
import { type OperatorColumns, type OperatorDefinition, requiredInput, typeError } from "../definition.ts";

type Binary = (b: GraphBuilder, x: Operand, y: Operand) => Value;

function binary(op: string): Binary {
  return (b, x, y) => b.one(op, valuesOf(b, [x, y]));
}

/** x = y */
export const equal = binary("Equal");
/** x > y */
export const greater = binary("Greater");
/** x ≥ y */
export const greaterOrEqual = binary("GreaterOrEqual");
/** x < y */
export const less = binary("Less");
/** x ≤ y */
export const lessOrEqual = binary("LessOrEqual");

/** x where the condition holds, y elsewhere. */
export function where(b: GraphBuilder, condition: Value, x: Operand, y: Operand): Value {
  return b.one("Where", [condition, ...valuesOf(b, [x, y])]);
}

function comparison(call: OperatorCall): readonly TensorType[] {
  commonDtype(call);
  return [{ dtype: "bool", shape: broadcastInputs(call) }];
}

function logic(call: OperatorCall): readonly TensorType[] {
  if (commonDtype(call) !== "bool") throw typeError(call, "the inputs should be booleans");
  return [{ dtype: "bool", shape: broadcastInputs(call) }];
}

function flat(op: string, infer: OperatorDefinition["infer"], columns: OperatorColumns = {}): OperatorDefinition {
  return { op, domain: "", infer, gradient: noGradient, ...columns };
}

function compared(op: string, holds: (x: number, y: number) => boolean, symbolic: SymbolicRule): OperatorDefinition {
  const of = (x = 0, y = 0): number => Number(holds(x, y));
  return flat(op, comparison, { fold: foldBinary(of), symbolic, traits: { ofEach: { of, foldedIn: [] } } });
}

function joined(op: string, holds: (x: number, y: number) => boolean, symbolic?: SymbolicRule): OperatorDefinition {
  const of = (x = 0, y = 0): number => Number(holds(x, y));
  return flat(op, logic, {
    fold: foldBinary(of),
    ...(symbolic === undefined ? {} : { symbolic }),
    traits: { ofEach: { of, foldedIn: [] } },
  });
}

/** Elementwise choice between two values. */
export const whereOperator: OperatorDefinition = {
  op: "Where",
  domain: "",
  infer(call) {
    const [condition, x, y] = [requiredInput(call, 0), requiredInput(call, 1), requiredInput(call, 2)];
    if (condition.dtype !== "bool") throw typeError(call, "the condition should be boolean");
    if (x.dtype !== y.dtype) throw typeError(call, "the element types differ");
    const both = broadcastShapes(x.shape, y.shape);
    const shape = both === undefined ? undefined : broadcastShapes(condition.shape, both);
    if (shape === undefined) throw typeError(call, "the shapes do not broadcast");
    return [{ dtype: x.dtype, shape }];
  },
  traits: { inPlace: true, ofEach: choiceOfEach },
  fold: foldVariadic(([condition, x = 0, y = 0]) => (condition ? x : y)),
  symbolic: symbolicChoice,
  gradient: ({ builder: b, input, outputGradient, needed }) => {
    const zero = scalarOf(b, 0, input(1).type.dtype);
    const dy = () => outputGradient(0);
    return [
      undefined,
      needed[1] ? sumTo(b, where(b, input(0), dy(), zero), input(1).type.shape) : undefined,
      needed[2] ? sumTo(b, where(b, input(0), zero, dy()), input(2).type.shape) : undefined,
    ];
  },
};

/** 1 where x is not a number. */
export const isNanOperator = flat("IsNaN", comparison, { fold: foldUnary((x) => Number(Number.isNaN(x))) });

/** The operators of this file. */
export const comparisonOperators: readonly OperatorDefinition[] = [
  compared("Equal", (x, y) => x === y, symbolicEqual),
  compared("Greater", (x, y) => x > y, symbolicGreater),
  compared("GreaterOrEqual", (x, y) => x >= y, symbolicGreaterOrEqual),
  compared("Less", (x, y) => x < y, symbolicLess),
  compared("LessOrEqual", (x, y) => x <= y, symbolicLessOrEqual),
  isNanOperator,
  flat("IsInf", comparison),
  joined("And", (x, y) => x !== 0 && y !== 0, symbolicAnd),
  joined("Or", (x, y) => x !== 0 || y !== 0, symbolicOr),
  joined("Xor", (x, y) => (x !== 0) !== (y !== 0)),
  flat("Not", logic, {
    fold: foldUnary((x) => Number(x === 0)),
    symbolic: symbolicNot,
    traits: { ofOne: () => (x) => Number(x === 0) },
  }),
  whereOperator,
];
