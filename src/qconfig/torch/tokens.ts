/** Python's tokens, as far as a quantization configuration needs them. Line breaks inside of brackets are none. */
import { ConfigError } from "../../errors.ts";

/** A token of Python with its source position. */
export interface Token {
  readonly kind: "name" | "number" | "string" | "operator" | "newline" | "end";
  /** As written; for a string, what it says. */
  readonly text: string;
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

/** A text and the name that errors call it by. */
export interface TorchSource {
  readonly name: string;
  readonly text: string;
}

/** `qconfig.py:3:14`, as errors say where. */
export function placeOf(source: TorchSource, at: Pick<Token, "line" | "column">): string {
  return `${source.name}:${at.line}:${at.column}`;
}

/** The error for a token that is not understood. */
export function notUnderstood(source: TorchSource, token: Token, reason: string, remedy?: string): ConfigError {
  const shown = token.kind === "end" ? "the end of the text" : token.kind === "newline" ? "the line's end" : token.text;
  const what = token.kind === "end" || token.kind === "newline" ? shown : JSON.stringify(shown);
  return new ConfigError(`${what} is not understood: ${reason}`, {
    where: placeOf(source, token),
    ...(remedy === undefined ? {} : { remedy }),
  });
}

const patterns = {
  space: /[ \t\f\r\u00a0]+|\\\r?\n|#[^\n]*/y,
  prompt: /(?:>>>|\.\.\.) ?/y,
  newline: /\n|;/y,
  string: /[rbuRBU]?(?:"""([\s\S]*?)"""|'''([\s\S]*?)'''|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)')/y,
  number: /0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?/y,
  name: /[\p{L}_][\p{L}\p{N}_]*/uy,
  operator: /\*\*=?|\/\/=?|<<|>>|->|[=!<>+\-*/%&|^@]=|[-+*/%()[\]{}.,:=<>&|^~@]/y,
} as const;

/** Splits a text into tokens; the last one is of the kind "end". @throws ConfigError for a character that is no Python. */
export function tokenize(source: TorchSource): Token[] {
  const { text } = source;
  const tokens: Token[] = [];
  let position = 0;
  let line = 1;
  let lineStart = 0;
  let depth = 0;

  const advance = (length: number): void => {
    for (const end = position + length; position < end; position++) {
      if (text[position] !== "\n") continue;
      line++;
      lineStart = position + 1;
    }
  };
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    return pattern.exec(text);
  };
  const push = (kind: Token["kind"], shown: string): void => {
    tokens.push({ kind, text: shown, line, column: position - lineStart + 1 });
  };

  while (position < text.length) {
    const atLineStart = text.slice(lineStart, position).trim() === "";
    const skipped = match(patterns.space) ?? (atLineStart ? match(patterns.prompt) : null);
    if (skipped !== null) {
      advance(skipped[0].length);
      continue;
    }
    const lineEnd = match(patterns.newline);
    if (lineEnd !== null) {
      if (depth === 0 && tokens.at(-1)?.kind !== "newline" && tokens.length > 0) push("newline", lineEnd[0]);
      advance(lineEnd[0].length);
      continue;
    }
    const string = match(patterns.string);
    if (string !== null) {
      push("string", string[1] ?? string[2] ?? string[3] ?? string[4] ?? "");
      advance(string[0].length);
      continue;
    }
    const kind = (["number", "name", "operator"] as const).find((candidate) => match(patterns[candidate]) !== null);
    const found = kind === undefined ? null : match(patterns[kind]);
    if (kind === undefined || found === null) {
      const character: Token = { kind: "operator", text: text[position] ?? "", line, column: position - lineStart + 1 };
      throw notUnderstood(source, character, "Python has no such character here", "Paste the Python code alone.");
    }
    if (found[0] === "(" || found[0] === "[" || found[0] === "{") depth++;
    if (found[0] === ")" || found[0] === "]" || found[0] === "}") depth = Math.max(0, depth - 1);
    push(kind, found[0]);
    advance(found[0].length);
  }
  push("end", "");
  return tokens;
}
