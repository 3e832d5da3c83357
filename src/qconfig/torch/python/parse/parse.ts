/** Python statements, from the parser's concrete tree. Any script parses: what the grammar does not hold is opaque. */
import type { SyntaxNode } from "@lezer/common";
import type { TorchSource } from "../source.ts";
import type { Body, Expression, MatchCase, Statement } from "../syntax.ts";
import { readExpression, readList, readParameters } from "./expressions.ts";
import { childrenOf, faultIn, PythonTree, separated } from "./tree.ts";
import { setByCall } from "./writes.ts";

/** Parses a script. @throws ConfigError naming the token that is no Python, with line and column. */
export function parsePython(source: TorchSource): Body {
  const tree = new PythonTree(source);
  return bodyOf(tree, tree.root);
}

function bodyOf(tree: PythonTree, body: SyntaxNode): Statement[] {
  return childrenOf(body).flatMap((node) => {
    if (node.name === ":") return [];
    if (node.type.isError) throw faultError(tree, node);
    return tree.within(node, () => statementsOf(tree, node));
  });
}

/** Statements that hold others: a fault of the syntax within one leaves the rest of the script readable. */
const compound = new Set(["DecoratedStatement", "WithStatement", "MatchStatement", "TryStatement", "TypeDefinition"]);

function statementsOf(tree: PythonTree, node: SyntaxNode): Statement[] {
  const at = tree.lineAt(node);
  const own = childrenOf(node).find((child) => child.type.isError || (!isBody(child) && faultIn(child) !== undefined));
  if (own !== undefined) {
    if (compound.has(node.name)) return [{ kind: "opaque", names: namesIn(tree, node), at }];
    throw faultError(tree, faultIn(own) ?? own);
  }
  return read(tree, node).map((statement) => ({ ...statement, at }));
}

const definitions = new Set(["FunctionDefinition", "ClassDefinition"]);

/** Parts that are read as statements of their own, faults included. */
const bodyParts = new Set([...definitions, "Body", "StatementGroup"]);

function isBody(node: SyntaxNode): boolean {
  return bodyParts.has(node.name) || (node.parent?.name === "StatementGroup" && node.name !== ";");
}

function faultError(tree: PythonTree, fault: SyntaxNode) {
  const at = tree.tokenAt(fault.from);
  const reason =
    at.text === "" ? "something that was opened is not closed" : "this is no Python, or a part of it is missing";
  return tree.error(at, reason, "Paste the Python code alone, and whole statements of it.");
}

function namesIn(tree: PythonTree, node: SyntaxNode): string[] {
  return [...new Set(tree.text(node).match(/[\p{L}_][\p{L}\p{N}_]*/gu) ?? [])];
}

type Bare<T> = T extends unknown ? Omit<T, "at"> : never;

function read(tree: PythonTree, node: SyntaxNode): Bare<Statement>[] {
  const children = childrenOf(node);
  const expression = (child: SyntaxNode | undefined): Expression =>
    child === undefined ? { kind: "opaque", what: "nothing", at: tree.at(node) } : readExpression(tree, child);
  switch (node.name) {
    case "StatementGroup":
      return children.filter(({ name }) => name !== ";").flatMap((child) => statementsOf(tree, child));
    case "ExpressionStatement": {
      const value = readList(tree, children);
      const set = setByCall(value);
      if (set !== undefined) return [{ kind: "assign", targets: [set.target], value: set.value }];
      return [{ kind: "expression", value }];
    }
    case "AssignStatement":
      return assignmentOf(tree, children);
    case "UpdateStatement": {
      const [target, operator, ...value] = children;
      const sign = operator === undefined ? "" : tree.text(operator).slice(0, -1);
      return [{ kind: "augment", target: expression(target), operator: sign, value: readList(tree, value) }];
    }
    case "ReturnStatement":
      return [{ kind: "return", ...(children.length < 2 ? {} : { value: readList(tree, children.slice(1)) }) }];
    case "IfStatement":
      return ifOf(tree, children);
    case "ForStatement": {
      const words = children.filter(({ name }) => name !== "async");
      const inAt = words.findIndex(({ name }) => name === "in");
      const [body, otherwise] = bodies(tree, words);
      const end = words.findIndex(({ name }) => name === "Body");
      return [
        {
          kind: "for",
          target: readList(tree, words.slice(1, inAt)),
          iterable: readList(tree, words.slice(inAt + 1, end)),
          body: body ?? [],
          otherwise: otherwise ?? [],
        },
      ];
    }
    case "WhileStatement": {
      const [body, otherwise] = bodies(tree, children);
      return [{ kind: "while", test: expression(children[1]), body: body ?? [], otherwise: otherwise ?? [] }];
    }
    case "WithStatement":
      return [
        withOf(
          tree,
          children.filter(({ name }) => name !== "async"),
        ),
      ];
    case "TryStatement":
      return [tryOf(tree, children)];
    case "MatchStatement":
      return [matchOf(tree, children)];
    case "DecoratedStatement":
      return decoratedOf(tree, children);
    case "FunctionDefinition":
    case "ClassDefinition":
      return [definitionOf(tree, node, [])];
    case "ImportStatement":
      return importOf(tree, children);
    case "DeleteStatement":
      return [{ kind: "delete", targets: separated(children.slice(1)).map(([child]) => expression(child)) }];
    case "BreakStatement":
      return [{ kind: "break" }];
    case "ContinueStatement":
      return [{ kind: "continue" }];
    case "RaiseStatement":
      return [{ kind: "raise" }];
    case "ScopeStatement": {
      const names = children.filter(({ name }) => name === "VariableName").map((child) => tree.text(child));
      return [{ kind: "scope", isGlobal: children[0]?.name === "global", names }];
    }
    case "PassStatement":
    case "AssertStatement":
      return [{ kind: "pass" }];
    default:
      return [{ kind: "opaque", names: namesIn(tree, node) }];
  }
}

function bodies(tree: PythonTree, children: readonly SyntaxNode[]): Body[] {
  return children.filter(({ name }) => name === "Body").map((body) => bodyOf(tree, body));
}

/** `a = b = value`, or with an annotation `a: int = value`; one without a value says nothing. */
function assignmentOf(tree: PythonTree, children: readonly SyntaxNode[]): Bare<Statement>[] {
  const parts = separated(
    children.filter(({ name }) => name !== "TypeDef"),
    "AssignOp",
  );
  const value = parts.at(-1);
  if (parts.length < 2 || value === undefined) return [{ kind: "pass" }];
  const targets = parts.slice(0, -1).map((target) => readList(tree, target));
  return [{ kind: "assign", targets, value: readList(tree, value) }];
}

/** `elif` is an `if` in the `else`. */
function ifOf(tree: PythonTree, children: readonly SyntaxNode[]): Bare<Statement>[] {
  const [, test, body, ...rest] = children;
  if (test === undefined || body === undefined) return [{ kind: "pass" }];
  const [word, ...more] = rest;
  const otherwise: Body =
    word === undefined
      ? []
      : word.name === "elif"
        ? tree.within(word, () => ifOf(tree, rest)).map((statement) => ({ ...statement, at: tree.at(word) }))
        : bodies(tree, more).flat();
  return [{ kind: "if", test: readExpression(tree, test), whenTrue: bodyOf(tree, body), otherwise }];
}

function withOf(tree: PythonTree, children: readonly SyntaxNode[]): Bare<Statement> {
  const [body] = bodies(tree, children);
  const end = children.findIndex(({ name }) => name === "Body");
  const items = separated(children.slice(1, end)).flatMap(([value, word, target]) =>
    value === undefined
      ? []
      : [
          {
            value: readExpression(tree, value),
            ...(word === undefined || target === undefined ? {} : { target: readExpression(tree, target) }),
          },
        ],
  );
  return { kind: "with", items, body: body ?? [] };
}

function tryOf(tree: PythonTree, children: readonly SyntaxNode[]): Bare<Statement> {
  const parts: { readonly word: string; readonly body: Body }[] = [];
  let word = "";
  for (const child of children) {
    if (["try", "except", "else", "finally"].includes(child.name)) word = child.name;
    if (child.name === "Body") parts.push({ word, body: bodyOf(tree, child) });
  }
  const of = (name: string): Body => parts.filter((part) => part.word === name).flatMap(({ body }) => body);
  return {
    kind: "try",
    body: of("try"),
    handlers: parts.filter((part) => part.word === "except").map(({ body }) => body),
    otherwise: of("else"),
    finalBody: of("finally"),
  };
}

function matchOf(tree: PythonTree, children: readonly SyntaxNode[]): Bare<Statement> {
  const [, subject, body] = children;
  const clauses = body === undefined ? [] : childrenOf(body).filter(({ name }) => name === "MatchClause");
  const cases = clauses.map((clause): MatchCase => {
    const [, pattern] = childrenOf(clause);
    const [caseBody] = bodies(tree, childrenOf(clause));
    const hasGuard = childrenOf(clause).some(({ name }) => name === "Guard" || name === "if");
    return {
      pattern: hasGuard || pattern === undefined ? "undecided" : patternOf(tree, pattern),
      body: caseBody ?? [],
    };
  });
  const value: Expression =
    subject === undefined ? { kind: "none", at: { line: 1, column: 1, text: "" } } : readExpression(tree, subject);
  return { kind: "match", subject: value, cases };
}

function patternOf(tree: PythonTree, pattern: SyntaxNode): MatchCase["pattern"] {
  const [only, ...more] = childrenOf(pattern);
  if (pattern.name === "CapturePattern" && tree.text(pattern) === "_") return "any";
  if (pattern.name !== "LiteralPattern" || only === undefined || more.length > 0) return "undecided";
  return { literal: readExpression(tree, only) };
}

function decoratedOf(tree: PythonTree, children: readonly SyntaxNode[]): Bare<Statement>[] {
  const decorators = children
    .filter(({ name }) => name === "Decorator")
    .flatMap((decorator) => {
      const [, ...parts] = childrenOf(decorator);
      return decoratorOf(tree, parts);
    });
  const definition = children.find(({ name }) => definitions.has(name));
  return definition === undefined ? [{ kind: "pass" }] : [definitionOf(tree, definition, decorators)];
}

/** `@a.b(c)` is laid out flat by the grammar; the name is all that is read. */
function decoratorOf(tree: PythonTree, parts: readonly SyntaxNode[]): Expression[] {
  const names = parts
    .filter(({ name }) => name === "VariableName" || name === "PropertyName")
    .map((part) => tree.at(part));
  const last = names.at(-1);
  const [only] = parts;
  if (last !== undefined) return [{ kind: "name", name: last.text, at: last }];
  return only === undefined ? [] : [readExpression(tree, only)];
}

function definitionOf(tree: PythonTree, node: SyntaxNode, decorators: readonly Expression[]): Bare<Statement> {
  const children = childrenOf(node);
  const nameNode = children.find(({ name }) => name === "VariableName");
  const name = nameNode === undefined ? "" : tree.text(nameNode);
  const body = bodies(tree, children)[0] ?? [];
  if (node.name === "FunctionDefinition") {
    const list = children.find((child) => child.name === "ParamList");
    const parameters = list === undefined ? [] : readParameters(tree, list);
    return { kind: "function", name, parameters, body, decorators };
  }
  const list = children.find((child) => child.name === "ArgList");
  const bases =
    list === undefined
      ? []
      : separated(childrenOf(list).slice(1, -1)).flatMap(([base, assign]) =>
          base === undefined || assign?.name === "AssignOp" ? [] : [readExpression(tree, base)],
        );
  return { kind: "class", name, bases, body, decorators };
}

function importOf(tree: PythonTree, children: readonly SyntaxNode[]): Bare<Statement>[] {
  const words = children.filter(({ name }) => name !== "(" && name !== ")");
  const text = (nodes: readonly SyntaxNode[]) => nodes.map((node) => tree.text(node)).join("");
  if (words[0]?.name === "import") {
    return separated(words.slice(1)).map((group): Bare<Statement> => {
      const as = group.findIndex(({ name }) => name === "as");
      const path = text(as < 0 ? group : group.slice(0, as)).split(".");
      const alias = as < 0 ? undefined : text(group.slice(as + 1));
      return { kind: "import", path, ...(alias === undefined ? {} : { alias }) };
    });
  }
  const start = words.findIndex(({ name }) => name === "import");
  const module = text(words.slice(1, start));
  return separated(words.slice(start + 1)).flatMap((group): Bare<Statement>[] => {
    const [name, as, alias] = group;
    if (name === undefined || name.name === "*") return [];
    const own = tree.text(name);
    return [
      { kind: "from", module, name: own, alias: as === undefined || alias === undefined ? own : tree.text(alias) },
    ];
  });
}
