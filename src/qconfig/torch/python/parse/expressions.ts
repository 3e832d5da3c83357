/** Expressions, from the parser's concrete tree. */
import type { SyntaxNode } from "@lezer/common";
import { stringValue, unescaped } from "../source.ts";
import type { Argument, Clause, Expression, ParameterSyntax } from "../syntax.ts";
import { childrenOf, type PythonTree, separated } from "./tree.ts";

/** Operators that Python chains: `a < b < c`. */
const comparisons = /^(?:[<>]=?|[=!]=|in|not in|is|is not)$/;
const brackets = new Set(["(", ")", "[", "]", "{", "}"]);

/** Reads an expression. @throws ConfigError where it is nested too deeply. */
export function readExpression(tree: PythonTree, node: SyntaxNode): Expression {
  return tree.within(node, () => ({ ...expressionOf(tree, node), whole: tree.at(node) }));
}

/** Several expressions with commas between them; one with a comma after it is a tuple too. */
export function readList(tree: PythonTree, nodes: readonly SyntaxNode[]): Expression {
  const items = itemsOf(tree, nodes);
  const [only] = items;
  const [first] = nodes;
  if (only !== undefined && items.length === 1 && !nodes.some(({ name }) => name === ",")) return only;
  const at = only?.at ?? (first === undefined ? { line: 1, column: 1, text: "" } : tree.at(first));
  return { kind: "list", items, isTuple: true, at };
}

function expressionOf(tree: PythonTree, node: SyntaxNode): Expression {
  const at = tree.at(node);
  const children = childrenOf(node);
  const inner = children.filter(({ name }) => !brackets.has(name));
  const read = (child: SyntaxNode | undefined): Expression =>
    child === undefined ? { kind: "opaque", what: "an empty expression", at } : readExpression(tree, child);
  switch (node.name) {
    case "Number":
      return numberOf(tree, node);
    case "String":
      return { kind: "string", parts: [stringValue(at.text)], at };
    case "FormatString":
      return { kind: "string", parts: formatParts(tree, node), at };
    case "ContinuedString":
      return {
        kind: "string",
        parts: children.map(read).flatMap((part) => (part.kind === "string" ? part.parts : [part])),
        at,
      };
    case "Boolean":
      return { kind: "truth", value: at.text === "True", at };
    case "None":
      return { kind: "none", at };
    case "VariableName":
    case "PropertyName":
      return at.text === "yield" ? { kind: "opaque", what: "yield", at } : { kind: "name", name: at.text, at };
    case "ParenthesizedExpression":
      return read(inner[0]);
    case "TupleExpression":
    case "ArrayExpression":
    case "SetExpression":
      return {
        kind: "list",
        items: itemsOf(tree, inner),
        isTuple: node.name === "TupleExpression",
        at: opening(tree, node),
      };
    case "DictionaryExpression":
      return { kind: "dict", entries: entriesOf(tree, inner), at: opening(tree, node) };
    case "MemberExpression":
      return memberOf(tree, node);
    case "CallExpression": {
      const [callee, list] = children;
      const args = list === undefined ? [] : argumentsOf(tree, list);
      return { kind: "call", callee: read(callee), args, at: list === undefined ? at : opening(tree, list) };
    }
    case "UnaryExpression": {
      const [operator, operand] = children;
      const sign = operator === undefined ? at : tree.at(operator);
      return { kind: "unary", operator: sign.text, operand: read(operand), at: sign };
    }
    case "BinaryExpression": {
      const [left, right] = [children[0], children.at(-1)];
      const operators = children.slice(1, -1).map((child) => tree.at(child));
      const operator = operators.map(({ text }) => text).join(" ");
      const isChained =
        left?.name === "BinaryExpression" && comparisons.test(operator) && comparisons.test(operatorOf(tree, left));
      return {
        kind: "binary",
        operator,
        left: read(left),
        right: read(right),
        ...(isChained ? { isChained } : {}),
        at: operators[0] ?? at,
      };
    }
    case "ConditionalExpression": {
      const [whenTrue, test, otherwise] = children.filter(({ name }) => name !== "if" && name !== "else");
      return { kind: "conditional", test: read(test), whenTrue: read(whenTrue), otherwise: read(otherwise), at };
    }
    case "LambdaExpression": {
      const parameters = children.find(({ name }) => name === "ParamList");
      return {
        kind: "lambda",
        parameters: parameters === undefined ? [] : readParameters(tree, parameters),
        body: read(children.at(-1)),
        at,
      };
    }
    case "ArrayComprehensionExpression":
    case "SetComprehensionExpression":
    case "ComprehensionExpression":
    case "DictionaryComprehensionExpression":
      return comprehensionOf(tree, inner, node);
    case "NamedExpression":
      return { kind: "walrus", target: read(children[0]), value: read(children.at(-1)), at };
    default:
      return { kind: "opaque", what: at.text.split(/\s/)[0] ?? node.name, at };
  }
}

function operatorOf(tree: PythonTree, node: SyntaxNode): string {
  return childrenOf(node)
    .slice(1, -1)
    .map((child) => tree.text(child))
    .join(" ");
}

function opening(tree: PythonTree, node: SyntaxNode) {
  return tree.at({ from: node.from, to: node.from + 1 });
}

function numberOf(tree: PythonTree, node: SyntaxNode): Expression {
  const at = tree.at(node);
  const text = at.text.replaceAll("_", "");
  const value = Number(text);
  if (Number.isNaN(value)) return { kind: "opaque", what: "a complex number", at };
  return { kind: "number", value, integer: /^0[xXbBoO]/.test(text) || /^\d+$/.test(text), at };
}

function formatParts(tree: PythonTree, node: SyntaxNode): (string | Expression)[] {
  const whole = tree.text(node);
  const prefix = /^[A-Za-z]*/.exec(whole)?.[0] ?? "";
  const width = /^("""|''')/.test(whole.slice(prefix.length)) ? 3 : 1;
  const parts: (string | Expression)[] = [];
  let from = node.from + prefix.length + width;
  const literal = (to: number) => {
    if (to > from) parts.push(unescaped(tree.text({ from, to }), prefix).replaceAll("{{", "{").replaceAll("}}", "}"));
  };
  for (const child of childrenOf(node)) {
    if (child.name !== "FormatReplacement") continue;
    literal(child.from);
    const [value, ...rest] = childrenOf(child).filter(({ name }) => !brackets.has(name));
    const at = tree.at(child);
    if (value === undefined || rest.length > 0) parts.push({ kind: "opaque", what: "a format", at });
    else parts.push(readExpression(tree, value));
    from = child.to;
  }
  literal(node.to - width);
  return parts;
}

function itemsOf(tree: PythonTree, nodes: readonly SyntaxNode[]): Expression[] {
  return separated(nodes).flatMap((group): Expression[] => {
    const [first, second] = group;
    if (first === undefined) return [];
    if (first.name !== "*" || second === undefined) return [readExpression(tree, first)];
    return [{ kind: "starred", value: readExpression(tree, second), at: tree.at(first) }];
  });
}

function entriesOf(tree: PythonTree, nodes: readonly SyntaxNode[]) {
  return separated(nodes).flatMap((group): { readonly key?: Expression; readonly value: Expression }[] => {
    const [first, last] = [group[0], group.at(-1)];
    if (first === undefined || last === undefined) return [];
    const value = readExpression(tree, last);
    return first.name === "**" ? [{ value }] : [{ key: readExpression(tree, first), value }];
  });
}

function memberOf(tree: PythonTree, node: SyntaxNode): Expression {
  const [object, mark, ...rest] = childrenOf(node);
  const at = mark === undefined ? tree.at(node) : tree.at(mark);
  const owner: Expression =
    object === undefined ? { kind: "opaque", what: "nothing", at } : readExpression(tree, object);
  if (mark?.name === ".") {
    const [property] = rest;
    const name = property === undefined ? at : tree.at(property);
    return { kind: "attribute", object: owner, name: name.text, at: name };
  }
  const inside = rest.slice(0, -1);
  const [index] = inside;
  if (inside.length !== 1 || index === undefined) return { kind: "subscript", object: owner, at };
  return { kind: "subscript", object: owner, index: readExpression(tree, index), at };
}

function argumentsOf(tree: PythonTree, list: SyntaxNode): Argument[] {
  const nodes = childrenOf(list).slice(1, -1);
  // A generator is the only argument.
  if (nodes.some(({ name }) => name === "for")) return [{ value: comprehensionOf(tree, nodes, list) }];
  return separated(nodes).flatMap((group): Argument[] => {
    const [first, second, third] = group;
    if (first === undefined) return [];
    if (first.name === "*" && second !== undefined) return [{ spread: "list", value: readExpression(tree, second) }];
    if (first.name === "**" && second !== undefined) return [{ spread: "dict", value: readExpression(tree, second) }];
    if (second?.name === "AssignOp" && third !== undefined) {
      return [{ keyword: tree.at(first), value: readExpression(tree, third) }];
    }
    return [{ value: readExpression(tree, first) }];
  });
}

/** `element for target in iterable if condition …`; of a dictionary `key: element`. */
function comprehensionOf(tree: PythonTree, nodes: readonly SyntaxNode[], whole: SyntaxNode): Expression {
  const start = nodes.findIndex(({ name }) => name === "for" || name === "async");
  const head = nodes.slice(0, start);
  const [first, last] = [head[0], head.at(-1)];
  const opaque: Expression = { kind: "opaque", what: "a comprehension", at: tree.at(whole) };
  if (first === undefined || last === undefined) return opaque;
  const clauses: Clause[] = [];
  let index = start;
  while (index < nodes.length) {
    if (nodes[index]?.name !== "for") return opaque;
    const inAt = nodes.findIndex(({ name }, i) => i > index && name === "in");
    const iterable = nodes[inAt + 1];
    if (inAt < 0 || iterable === undefined) return opaque;
    const target = readList(tree, nodes.slice(index + 1, inAt));
    const conditions: Expression[] = [];
    index = inAt + 2;
    while (nodes[index]?.name === "if") {
      const condition = nodes[index + 1];
      if (condition === undefined) return opaque;
      conditions.push(readExpression(tree, condition));
      index += 2;
    }
    clauses.push({ target, iterable: readExpression(tree, iterable), conditions });
  }
  return {
    kind: "comprehension",
    ...(first === last ? {} : { key: readExpression(tree, first) }),
    element: readExpression(tree, last),
    clauses,
    at: opening(tree, whole),
  };
}

/** The parameters of a function or a lambda. */
export function readParameters(tree: PythonTree, list: SyntaxNode): ParameterSyntax[] {
  let hasRest = false;
  return separated(childrenOf(list).filter(({ name }) => !brackets.has(name))).flatMap((group): ParameterSyntax[] => {
    const star = group.find(({ name }) => name === "*" || name === "**")?.name;
    const name = group.find((node) => node.name === "VariableName");
    const assign = group.findIndex((node) => node.name === "AssignOp");
    const fallback = assign < 0 ? undefined : group[assign + 1];
    const wasRest = hasRest;
    hasRest ||= star === "*";
    if (name === undefined) return [];
    const at = tree.at(name);
    const kind = star === "*" ? "rest" : star === "**" ? "keywords" : wasRest ? "keywordOnly" : "plain";
    return [
      {
        name: at.text,
        at,
        kind,
        ...(fallback === undefined ? {} : { fallback: readExpression(tree, fallback) }),
      },
    ];
  });
}
