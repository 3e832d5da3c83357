/** The syntax tree of Python, as far as the evaluator reads it. Every expression keeps the position that errors point to. */
import type { At } from "./source.ts";

/** An argument of a call. */
export interface Argument {
  /** The keyword's position; absent for a positional argument. */
  readonly keyword?: At;
  /** `*value` or `**value`. */
  readonly spread?: "list" | "dict";
  readonly value: Expression;
}

/** A parameter of a function. */
export interface ParameterSyntax {
  readonly name: string;
  readonly at: At;
  readonly fallback?: Expression;
  /** `*args`, `**kwargs`, or a parameter after `*`, which has no position. */
  readonly kind: "plain" | "rest" | "keywords" | "keywordOnly";
}

/** `for target in iterable if condition`, inside of a comprehension. */
export interface Clause {
  readonly target: Expression;
  readonly iterable: Expression;
  readonly conditions: readonly Expression[];
}

/** An expression: the position that errors point to, and the whole of it. */
export type Expression = { readonly at: At; readonly whole?: At } & (
  | { readonly kind: "number"; readonly value: number; readonly integer: boolean }
  | { readonly kind: "string"; readonly parts: readonly (string | Expression)[] }
  | { readonly kind: "truth"; readonly value: boolean }
  | { readonly kind: "none" }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "attribute"; readonly object: Expression; readonly name: string }
  | { readonly kind: "call"; readonly callee: Expression; readonly args: readonly Argument[] }
  /** Without an index: a slice, or several indices. */
  | { readonly kind: "subscript"; readonly object: Expression; readonly index?: Expression }
  | { readonly kind: "list"; readonly items: readonly Expression[]; readonly isTuple: boolean }
  | { readonly kind: "dict"; readonly entries: readonly { readonly key?: Expression; readonly value: Expression }[] }
  | { readonly kind: "starred"; readonly value: Expression }
  | { readonly kind: "unary"; readonly operator: string; readonly operand: Expression }
  | {
      readonly kind: "binary";
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
      /** `a < b < c`, of which the left is `a < b`. */
      readonly isChained?: true;
    }
  | {
      readonly kind: "conditional";
      readonly test: Expression;
      readonly whenTrue: Expression;
      readonly otherwise: Expression;
    }
  | { readonly kind: "lambda"; readonly parameters: readonly ParameterSyntax[]; readonly body: Expression }
  | {
      readonly kind: "comprehension";
      readonly key?: Expression;
      readonly element: Expression;
      readonly clauses: readonly Clause[];
    }
  | { readonly kind: "walrus"; readonly target: Expression; readonly value: Expression }
  /** What is parsed and not evaluated: `yield`, `await`, `...`. */
  | { readonly kind: "opaque"; readonly what: string }
);

/** A body of statements. */
export type Body = readonly Statement[];

/** A function with the text around it. */
export interface FunctionSyntax {
  readonly name: string;
  readonly parameters: readonly ParameterSyntax[];
  readonly body: Body;
  readonly decorators: readonly Expression[];
}

/** A class. */
export interface ClassSyntax {
  readonly name: string;
  readonly bases: readonly Expression[];
  readonly body: Body;
  readonly decorators: readonly Expression[];
}

/** A statement. */
export type Statement = { readonly at: At } & (
  | { readonly kind: "assign"; readonly targets: readonly Expression[]; readonly value: Expression }
  | { readonly kind: "augment"; readonly target: Expression; readonly operator: string; readonly value: Expression }
  | { readonly kind: "expression"; readonly value: Expression }
  | { readonly kind: "return"; readonly value?: Expression }
  | { readonly kind: "if"; readonly test: Expression; readonly whenTrue: Body; readonly otherwise: Body }
  | {
      readonly kind: "for";
      readonly target: Expression;
      readonly iterable: Expression;
      readonly body: Body;
      readonly otherwise: Body;
    }
  | { readonly kind: "while"; readonly test: Expression; readonly body: Body; readonly otherwise: Body }
  | {
      readonly kind: "with";
      readonly items: readonly { readonly value: Expression; readonly target?: Expression }[];
      readonly body: Body;
    }
  | {
      readonly kind: "try";
      readonly body: Body;
      readonly handlers: readonly Body[];
      readonly otherwise: Body;
      readonly finalBody: Body;
    }
  | { readonly kind: "match"; readonly subject: Expression; readonly cases: readonly MatchCase[] }
  | ({ readonly kind: "function" } & FunctionSyntax)
  | ({ readonly kind: "class" } & ClassSyntax)
  | { readonly kind: "import"; readonly path: readonly string[]; readonly alias?: string }
  | { readonly kind: "from"; readonly module: string; readonly name: string; readonly alias: string }
  | { readonly kind: "delete"; readonly targets: readonly Expression[] }
  | { readonly kind: "scope"; readonly isGlobal: boolean; readonly names: readonly string[] }
  | { readonly kind: "pass" | "break" | "continue" | "raise" }
  /** What the parser does not understand, with the names in it: each of them may have changed. */
  | { readonly kind: "opaque"; readonly names: readonly string[] }
);

/** A case of `match`: with a literal pattern, the wildcard `_`, or another pattern, which is not decided. */
export interface MatchCase {
  readonly pattern: { readonly literal: Expression } | "any" | "undecided";
  readonly body: Body;
}

/** The name that a chain of attributes spells: `self.args.bits`; undefined for anything else. */
export function dottedName(expression: Expression): string | undefined {
  if (expression.kind === "name") return expression.name;
  if (expression.kind !== "attribute") return undefined;
  const object = dottedName(expression.object);
  return object === undefined ? undefined : `${object}.${expression.name}`;
}

/** The whole of an expression, as a note about it says it. */
export function wholeOf(expression: Expression): At {
  return expression.whole ?? expression.at;
}
