/**
 * The subset of Python that quantization configurations are written in, as a syntax tree: assignments, calls with keyword
 * arguments, dotted names, arithmetic with Python's precedence, and the header and `return` of a function around them.
 *
 * Grammar, loosest first (docs.python.org, "Expressions"): `|`, `^`, `&`, shifts, `+ -`, `* / // %`, unary `+ - ~`, `**`
 * (to the right, and tighter than a unary minus on its left), then calls and attributes.
 */
import { notUnderstood, type Token, type TorchSource, tokenize } from "./tokens.ts";

/** Every expression keeps the token that errors about it point to. */
export type Expression =
  | { readonly kind: "number"; readonly value: number; readonly integer: boolean; readonly token: Token }
  | { readonly kind: "string"; readonly value: string; readonly token: Token }
  | { readonly kind: "name"; readonly name: string; readonly token: Token }
  | { readonly kind: "attribute"; readonly object: Expression; readonly name: string; readonly token: Token }
  | { readonly kind: "call"; readonly callee: Expression; readonly args: readonly Argument[]; readonly token: Token }
  | { readonly kind: "list"; readonly items: readonly Expression[]; readonly token: Token }
  | { readonly kind: "unary"; readonly operator: string; readonly operand: Expression; readonly token: Token }
  | {
      readonly kind: "binary";
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
      readonly token: Token;
    };

/** An argument of a call. */
export interface Argument {
  /** The keyword's token; absent for a positional argument. */
  readonly keyword?: Token;
  readonly value: Expression;
}

/** A statement of the supported part of Python. */
export type Statement =
  | { readonly kind: "assign"; readonly targets: readonly Expression[]; readonly values: readonly Expression[] }
  | { readonly kind: "parameter"; readonly name: string; readonly token: Token; readonly fallback?: Expression }
  | { readonly kind: "return"; readonly value: Expression }
  | { readonly kind: "expression"; readonly value: Expression };

const binaryLevels: readonly (readonly string[])[] = [
  ["|"],
  ["^"],
  ["&"],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "//", "%"],
];

/** Words that begin what a configuration does not need. */
const foreignKeywords = new Set(
  "class if elif else for while with try except finally raise lambda yield async await del global assert not and or in is".split(
    " ",
  ),
);

/** Parses a text. @throws ConfigError naming the token that was not understood, with line and column. */
export function parseTorchText(source: TorchSource): Statement[] {
  return new Parser(source).program();
}

class Parser {
  readonly #source: TorchSource;
  readonly #tokens: readonly Token[];
  #position = 0;

  constructor(source: TorchSource) {
    this.#source = source;
    this.#tokens = tokenize(source);
  }

  program(): Statement[] {
    const statements: Statement[] = [];
    while (this.#peek().kind !== "end") {
      if (this.#peek().kind === "newline") this.#next();
      else statements.push(...this.#statement());
    }
    return statements;
  }

  #peek(ahead = 0): Token {
    const token = this.#tokens[this.#position + ahead] ?? this.#tokens.at(-1);
    if (token === undefined) throw new Error("there is always an end");
    return token;
  }

  #next(): Token {
    const token = this.#peek();
    this.#position++;
    return token;
  }

  #is(text: string): boolean {
    const token = this.#peek();
    return token.text === text && (token.kind === "operator" || token.kind === "name");
  }

  #expect(text: string): Token {
    if (!this.#is(text)) throw notUnderstood(this.#source, this.#peek(), `expected ${JSON.stringify(text)} here`);
    return this.#next();
  }

  #endOfStatement(): void {
    const token = this.#peek();
    if (token.kind !== "newline" && token.kind !== "end") {
      throw notUnderstood(this.#source, token, "expected the end of the line here");
    }
  }

  #statement(): Statement[] {
    if (this.#is("import") || this.#is("from")) return this.#skipLine();
    if (this.#is("pass")) return this.#skipLine();
    if (this.#is("def")) return this.#header();
    if (this.#is("return")) {
      this.#next();
      const value = this.#expression();
      this.#endOfStatement();
      return [{ kind: "return", value }];
    }
    let values = this.#expressions();
    if (this.#is(":")) {
      // An annotation: `bits: int = 4`.
      this.#next();
      this.#expression();
    }
    const statements: Statement[] = [];
    const targets: (readonly Expression[])[] = [];
    while (this.#is("=")) {
      this.#next();
      targets.push(values);
      values = this.#expressions();
    }
    this.#endOfStatement();
    const [value] = values;
    if (targets.length === 0 && value !== undefined) statements.push({ kind: "expression", value });
    for (const target of targets) statements.push({ kind: "assign", targets: target, values });
    return statements;
  }

  /** Imports say nothing that names do not say again. One in brackets may go over several lines. */
  #skipLine(): Statement[] {
    while (this.#peek().kind !== "newline" && this.#peek().kind !== "end") this.#next();
    return [];
  }

  /** `def threadq(wb, ab=4):` makes its parameters names that have to be given; the body is read as what follows. */
  #header(): Statement[] {
    this.#next();
    this.#name("a function's name");
    this.#expect("(");
    const parameters: Statement[] = [];
    while (!this.#is(")")) {
      const token = this.#name("a parameter");
      if (this.#is(":")) {
        this.#next();
        this.#expression();
      }
      if (this.#is("=")) {
        this.#next();
        parameters.push({ kind: "parameter", name: token.text, token, fallback: this.#expression() });
      } else {
        parameters.push({ kind: "parameter", name: token.text, token });
      }
      if (!this.#is(")")) this.#expect(",");
    }
    this.#expect(")");
    if (this.#is("->")) {
      this.#next();
      this.#expression();
    }
    this.#expect(":");
    return parameters;
  }

  #name(what: string): Token {
    const token = this.#peek();
    if (token.kind !== "name") throw notUnderstood(this.#source, token, `expected ${what} here`);
    return this.#next();
  }

  /** One expression, or several with commas between them. */
  #expressions(): Expression[] {
    const list = [this.#expression()];
    while (this.#is(",")) {
      this.#next();
      if (this.#peek().kind === "newline" || this.#peek().kind === "end" || this.#is("=")) break;
      list.push(this.#expression());
    }
    return list;
  }

  #expression(level = 0): Expression {
    const operators = binaryLevels[level];
    if (operators === undefined) return this.#unary();
    let left = this.#expression(level + 1);
    while (this.#peek().kind === "operator" && operators.includes(this.#peek().text)) {
      const token = this.#next();
      left = { kind: "binary", operator: token.text, left, right: this.#expression(level + 1), token };
    }
    return left;
  }

  #unary(): Expression {
    if (this.#is("-") || this.#is("+") || this.#is("~")) {
      const token = this.#next();
      return { kind: "unary", operator: token.text, operand: this.#unary(), token };
    }
    const base = this.#postfix();
    if (!this.#is("**")) return base;
    const token = this.#next();
    return { kind: "binary", operator: "**", left: base, right: this.#unary(), token };
  }

  #postfix(): Expression {
    let expression = this.#atom();
    for (;;) {
      if (this.#is(".")) {
        this.#next();
        const token = this.#name("a name");
        expression = { kind: "attribute", object: expression, name: token.text, token };
      } else if (this.#is("(")) {
        const token = this.#next();
        expression = { kind: "call", callee: expression, args: this.#arguments(), token };
      } else {
        return expression;
      }
    }
  }

  #arguments(): Argument[] {
    const list: Argument[] = [];
    while (!this.#is(")")) {
      if (this.#peek().kind === "name" && this.#peek(1).text === "=" && this.#peek(1).kind === "operator") {
        const keyword = this.#next();
        this.#next();
        list.push({ keyword, value: this.#expression() });
      } else {
        list.push({ value: this.#expression() });
      }
      if (!this.#is(")")) this.#expect(",");
    }
    this.#expect(")");
    return list;
  }

  #atom(): Expression {
    const token = this.#peek();
    if (token.kind === "number") return this.#number(this.#next());
    if (token.kind === "string") return { kind: "string", value: this.#next().text, token };
    if (token.kind === "name") {
      if (foreignKeywords.has(token.text)) {
        const remedy = "Paste only the lines that make the QConfig, and give the variables in them with --define.";
        throw notUnderstood(this.#source, token, "this part of Python is not supported", remedy);
      }
      return { kind: "name", name: this.#next().text, token };
    }
    if (this.#is("(") || this.#is("[")) return this.#bracketed();
    throw notUnderstood(this.#source, token, "expected a value here");
  }

  /** A bracketed expression, or a list or tuple of them. */
  #bracketed(): Expression {
    const token = this.#next();
    const close = token.text === "(" ? ")" : "]";
    const items: Expression[] = [];
    let isTuple = token.text === "[";
    while (!this.#is(close)) {
      items.push(this.#expression());
      if (this.#is(",")) {
        this.#next();
        isTuple = true;
      } else if (!this.#is(close)) {
        this.#expect(close);
      }
    }
    this.#next();
    const [only] = items;
    return isTuple || only === undefined ? { kind: "list", items, token } : only;
  }

  #number(token: Token): Expression {
    const text = token.text.replaceAll("_", "");
    const value = Number(text);
    if (Number.isNaN(value)) throw notUnderstood(this.#source, token, "this is no number");
    const integer = /^0[xXbBoO]/.test(text) || /^\d+$/.test(text);
    return { kind: "number", value, integer, token };
  }
}
