/** The places of a script that may write an attribute of a given name, run or not: found in the syntax alone. */
import type { At } from "../source.ts";
import { type Body, dottedName, type Expression, type Statement, wholeOf } from "../syntax.ts";

/** Calls with the name of an attribute that write nothing. */
const readers = new Set(["getattr", "hasattr", "print", "isinstance", "get", "pop"]);
const executing = new Set(["exec", "eval"]);

/**
 * Returns the assignments to the attribute, the attribute in the body of a class, and calls and keys that may stand for
 * one: `setattr` with a name that is computed, the name as a text or a keyword, `exec`.
 *
 * @param isFollowed Whether a call is evaluated, so that its keywords need no place of their own.
 */
export function attributeWrites(script: Body, attribute: string, isFollowed: (call: string) => boolean): readonly At[] {
  const places: At[] = [];

  const target = (expression: Expression): void => {
    if (expression.kind === "list") expression.items.forEach(target);
    else if (expression.kind === "starred") target(expression.value);
    else {
      if (expression.kind === "attribute" && expression.name === attribute) places.push(expression.at);
      value(expression);
    }
  };

  const call = ({ callee, args }: Call, whole: At): void => {
    const name = callee.kind === "attribute" ? callee.name : (dottedName(callee) ?? "");
    if (readers.has(name)) return;
    const isSetter = name === "setattr" || name === "__setattr__";
    const isNamed = args.slice(0, 2).some((each) => literal(each.value) !== undefined);
    const executes = callee.kind === "name" && executing.has(name);
    if (executes || (isSetter && !isNamed)) places.push(whole);
    const keyword = args.find((each) => each.keyword?.text === attribute)?.keyword;
    if (keyword !== undefined && !isFollowed(name)) places.push(keyword);
    for (const each of args) value(each.value);
  };

  const value = (expression: Expression): void => {
    if (literal(expression) === attribute) places.push(expression.at);
    if (expression.kind === "call") call(expression, wholeOf(expression));
    for (const part of partsOf(expression)) value(part);
  };

  const body = (statements: Body, isClass: boolean): void => {
    for (const statement of statements) {
      const { targets = [], values = [], bodies = [] } = partsOfStatement(statement);
      targets.forEach(target);
      values.forEach(value);
      for (const inner of bodies) body(inner, statement.kind === "class");
      const own = targets.find((each) => each.kind === "name" && each.name === attribute);
      if (isClass && own !== undefined) places.push(own.at);
    }
  };

  body(script, false);
  return places;
}

type Call = Extract<Expression, { kind: "call" }>;

interface StatementParts {
  readonly targets?: readonly Expression[];
  readonly values?: readonly Expression[];
  readonly bodies?: readonly Body[];
}

function partsOfStatement(statement: Statement): StatementParts {
  switch (statement.kind) {
    case "assign":
      return { targets: statement.targets, values: [statement.value] };
    case "augment":
      return { targets: [statement.target], values: [statement.value] };
    case "expression":
      return { values: [statement.value] };
    case "return":
      return { values: statement.value === undefined ? [] : [statement.value] };
    case "if":
      return { values: [statement.test], bodies: [statement.whenTrue, statement.otherwise] };
    case "for": {
      const { target, iterable, body, otherwise } = statement;
      return { targets: [target], values: [iterable], bodies: [body, otherwise] };
    }
    case "while":
      return { values: [statement.test], bodies: [statement.body, statement.otherwise] };
    case "with":
      return {
        targets: statement.items.flatMap(({ target }) => (target === undefined ? [] : [target])),
        values: statement.items.map(({ value }) => value),
        bodies: [statement.body],
      };
    case "try":
      return { bodies: [statement.body, ...statement.handlers, statement.otherwise, statement.finalBody] };
    case "match":
      return { values: [statement.subject], bodies: statement.cases.map(({ body }) => body) };
    case "function":
    case "class":
      return { values: statement.decorators, bodies: [statement.body] };
    default:
      return {};
  }
}

function literal(expression: Expression): string | undefined {
  if (expression.kind !== "string") return undefined;
  const texts = expression.parts.filter((part) => typeof part === "string");
  return texts.length === expression.parts.length ? texts.join("") : undefined;
}

function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case "string":
      return expression.parts.filter((part) => typeof part !== "string");
    case "attribute":
      return [expression.object];
    case "call":
      return [expression.callee];
    case "lambda":
      return [expression.body];
    case "subscript":
      return [expression.object, ...(expression.index === undefined ? [] : [expression.index])];
    case "list":
      return expression.items;
    case "dict":
      return expression.entries.flatMap(({ key, value }) => (key === undefined ? [value] : [key, value]));
    case "starred":
    case "walrus":
      return [expression.value];
    case "unary":
      return [expression.operand];
    case "binary":
      return [expression.left, expression.right];
    case "conditional":
      return [expression.test, expression.whenTrue, expression.otherwise];
    case "comprehension": {
      const { key, element, clauses } = expression;
      const inClauses = clauses.flatMap(({ iterable, conditions }) => [iterable, ...conditions]);
      return [...(key === undefined ? [] : [key]), element, ...inClauses];
    }
    default:
      return [];
  }
}

/** Returns the target and the value of `setattr(target, "name", value)` and `target.__setattr__("name", value)`. */
export function setByCall(
  expression: Expression,
): { readonly target: Expression; readonly value: Expression } | undefined {
  if (expression.kind !== "call" || expression.args.some(({ keyword, spread }) => (keyword ?? spread) !== undefined))
    return undefined;
  const { callee } = expression;
  const args = expression.args.map(({ value }) => value);
  const isMethod = callee.kind === "attribute" && callee.name === "__setattr__";
  const isSetter = callee.kind === "name" && callee.name === "setattr";
  if (!isMethod && !isSetter) return undefined;
  const [object, name, value] = isMethod && args.length === 2 ? [callee.object, ...args] : args;
  if (object === undefined || name === undefined || value === undefined) return undefined;
  const text = literal(name);
  if (text === undefined) return undefined;
  return { target: { kind: "attribute", object, name: text, at: name.at, whole: wholeOf(expression) }, value };
}
