/**
 * What a text may hold before it is parsed, found in one pass over its characters: the parser's time grows faster than
 * the depth of brackets, and its memory is about a hundred bytes for a character.
 */
import type { ConfigError } from "../../../../errors.ts";
import { type At, notUnderstood, type PlainText, type TorchSource } from "../source.ts";

/** Python itself takes as many brackets within each other. */
export const deepestNesting = 200;

/** About 8,000 lines of Python. */
const mostTokens = 100_000;
/** In one statement: the parser's time grows with the square of a chain such as `a.b.c`. */
const longestStatement = 20_000;

const scanner =
  /(?<comment>#[^\n]*)|(?<prefix>[A-Za-z]{0,2})(?<quote>"""|'''|"|')|[\p{L}\p{N}_]+|(?<line>\n)|(?<sign>[^\s])/gu;

const openings = new Set(["(", "[", "{"]);
const closings = new Set([")", "]", "}"]);

/** Counts tokens and the brackets that are open. Closings without an opening count too: the parser tries each. */
class Scan {
  #tokens = 0;
  #depth = 0;
  #unopened = 0;
  #inStatement = 0;

  token(refuse: (reason: string) => ConfigError): void {
    const [all, here] = [++this.#tokens, ++this.#inStatement];
    if (all > mostTokens) throw refuse(`the text has more than ${mostTokens} words and signs`);
    if (here > longestStatement) throw refuse(`the statement has more than ${longestStatement} words and signs`);
  }

  get isOpen(): boolean {
    return this.#depth > 0;
  }

  endOfLine(): void {
    if (this.#depth === 0) this.#inStatement = 0;
  }

  sign(sign: string, refuse: (reason: string) => ConfigError): void {
    if (openings.has(sign)) this.#depth++;
    else if (closings.has(sign) && this.#depth > 0) this.#depth--;
    else if (closings.has(sign)) this.#unopened++;
    if (this.#depth > deepestNesting || this.#unopened > deepestNesting) throw refuse("it is nested too deeply");
  }
}

/**
 * Checks the number of tokens and the depth of brackets, outside of strings and comments and in the replacements of
 * f-strings.
 *
 * @throws ConfigError with the line where a limit is passed.
 */
export function checkBounds(source: TorchSource, plain: PlainText): void {
  const { text } = plain;
  const scan = new Scan();
  const refuseAt = (offset: number) => (reason: string) => {
    const at: At = { ...plain.position(offset), text: text.slice(offset, offset + 1) };
    return notUnderstood(source, at, reason, "Paste only the lines that make the QConfig.");
  };
  scanner.lastIndex = 0;
  for (let match = scanner.exec(text); match !== null; match = scanner.exec(text)) {
    const { index, groups } = match;
    const refuse = refuseAt(index);
    scan.token(refuse);
    const { prefix = "", quote, line, sign } = groups ?? {};
    if (line !== undefined) scan.endOfLine();
    if (sign !== undefined) scan.sign(sign, refuse);
    if (quote === undefined) continue;
    const start = index + match[0].length;
    const end = endOfString(text, start, quote);
    if (/f/i.test(prefix)) checkReplacements(text, { start, end }, refuseAt, scan);
    scanner.lastIndex = end;
  }
}

/** Returns the offset behind a string's closing quote; one quote ends with its line where it is not closed. */
function endOfString(text: string, start: number, quote: string): number {
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (character === "\n" && quote.length === 1) return at;
    else if (character === quote[0] && text.startsWith(quote, at)) return at + quote.length;
  }
  return text.length;
}

/** What stands in an f-string's braces is code; two braces are one of the text. */
function checkReplacements(
  text: string,
  { start, end }: { readonly start: number; readonly end: number },
  refuseAt: (offset: number) => (reason: string) => ConfigError,
  outer: Scan,
): void {
  const inner = new Scan();
  for (let at = start; at < end; at++) {
    const character = text[at] ?? "";
    if (!inner.isOpen && character !== "{") continue;
    if (!inner.isOpen && text[at + 1] === "{") {
      at++;
      continue;
    }
    const refuse = refuseAt(at);
    if (character.trim() !== "") outer.token(refuse);
    inner.sign(character, refuse);
  }
}
