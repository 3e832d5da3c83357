/** A text with Python in it: source positions, and the text as the parser takes it. */
import { ConfigError } from "../../../errors.ts";

/** A text and the name that errors call it by. */
export interface TorchSource {
  readonly name: string;
  readonly text: string;
}

/** A source position, both numbers from 1, with the text that stands there. */
export interface At {
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

/** `qconfig.py:3:14`, as errors say where. */
export function placeOf(source: TorchSource, at: Pick<At, "line" | "column">): string {
  return `${source.name}:${at.line}:${at.column}`;
}

/** The error for a text that is not understood. */
export function notUnderstood(source: TorchSource, at: At, reason: string, remedy?: string): ConfigError {
  const shown = at.text === "" ? "the end of the text" : at.text === "\n" ? "the line's end" : JSON.stringify(at.text);
  return new ConfigError(`${shown} is not understood: ${reason}`, {
    where: placeOf(source, at),
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/** A text without prompts and common indentation, of which every position is known in the original. */
export interface PlainText {
  readonly text: string;
  /** The same length, for the parser: what its grammar lacks is replaced by something that it has. */
  readonly parsed: string;
  position(offset: number): Pick<At, "line" | "column">;
}

const prompt = /^[ \t]*(?:>>>|\.\.\.)(?: |$)/;

/** Removes interactive prompts (with the output between them) and the indentation that all lines share. */
export function plainText(original: string): PlainText {
  const lines = original
    .replaceAll("\r\n", " \n")
    .replaceAll(/[\r\f\u00a0]/g, " ")
    .replace(/^\ufeff/, " ")
    .split("\n");
  const isSession = lines.some((line) => /^[ \t]*>>> /.test(line));
  const stripped = lines.map((line) => {
    if (!isSession) return { text: line, cut: 0 };
    const found = prompt.exec(line)?.[0];
    return found === undefined ? { text: "", cut: 0 } : { text: line.slice(found.length), cut: found.length };
  });
  const indents = stripped.flatMap(({ text }) => {
    const trimmed = text.trimStart();
    return trimmed === "" || trimmed.startsWith("#") ? [] : [text.length - trimmed.length];
  });
  const common = indents.reduce((least, indent) => Math.min(least, indent), Number.POSITIVE_INFINITY);
  const shift = Number.isFinite(common) ? common : 0;
  const plain = stripped.map(({ text, cut }) => {
    const indent = Math.min(shift, text.length - text.trimStart().length);
    return { text: text.slice(indent), cut: cut + indent };
  });
  const text = plain.map((line) => line.text).join("\n");
  const starts: number[] = [];
  let start = 0;
  for (const line of plain) {
    starts.push(start);
    start += line.text.length + 1;
  }
  return {
    text,
    parsed: withinGrammar(text),
    position(offset) {
      let [low, high] = [0, starts.length - 1];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if ((starts[middle] ?? 0) <= offset) low = middle;
        else high = middle - 1;
      }
      return { line: low + 1, column: offset - (starts[low] ?? 0) + (plain[low]?.cut ?? 0) + 1 };
    },
  };
}

/**
 * The grammar of @lezer/python 1.1 takes neither `1.` and `1.e3` nor a `yield` without a value. Both are replaced by a
 * number and a name of the same length; values are read from the text itself, so a replacement in a string changes nothing.
 */
function withinGrammar(text: string): string {
  return text
    .replaceAll(/(?<![\w.])(\d[\d_]*)\.(?=[^\w.]|$)/g, "$1j")
    .replaceAll(/(?<![\w.])(\d[\d_]*)\.(?=[eE][-+\d])/g, "$1_")
    .replaceAll(/\byield\b(?=[ \t]*(?:[\n)\]},;=#]|$))/g, "yiel_");
}

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "\n": "",
};

/** The text of a literal with its quotes and prefix, as written: `r"a\b"` → `a\b`. */
export function stringValue(literal: string): string {
  const prefix = /^[A-Za-z]*/.exec(literal)?.[0] ?? "";
  const quoted = literal.slice(prefix.length);
  const width = /^("""|''')/.test(quoted) ? 3 : 1;
  return unescaped(quoted.slice(width, -width), prefix);
}

/** A piece of a literal, between replacements of an f-string. */
export function unescaped(piece: string, prefix: string): string {
  if (/r/i.test(prefix)) return piece;
  return piece.replaceAll(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|[\s\S])/g, (whole, code: string) =>
    code.length > 1 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (escapes[code] ?? whole),
  );
}
