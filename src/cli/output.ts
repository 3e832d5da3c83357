/**
 * Everything that the command line writes passes through here: results to stdout, notes, progress and errors to stderr.
 *
 * Names come from models, data files and folders of other people. A line of output shows their control characters as text,
 * line breaks included, so that no name can move the cursor, hide text or pretend to be another line.
 */

import { colorsFor } from "./view/colors.ts";
import { printableLine } from "./view/printable.ts";

/** The part of a stream that output needs; process.stdout and process.stderr are such. */
export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A colour or weight of text in the terminal. */
export type Style = "red" | "yellow" | "green" | "cyan" | "dim" | "bold";

/** A part of a line with its styles, the outermost first. */
export interface Styled {
  readonly text: string;
  readonly styles: readonly Style[];
}

/** One line without its line break, in one piece or in several. */
export type Line = string | readonly (string | Styled)[];

/** Returns a part of a line in a style. */
export function styled(text: string, ...styles: Style[]): Styled {
  return { text, styles };
}

/** Writes lines to a stream, each with its line break. */
export function writeLines(stream: OutputStream, lines: readonly Line[]): void {
  const colors = colorsFor(stream);
  const render = (part: string | Styled): string => {
    if (typeof part === "string") return printableLine(part);
    return part.styles.reduceRight((text, style) => colors[style](text), printableLine(part.text));
  };
  const text = lines.map((line) => `${typeof line === "string" ? printableLine(line) : line.map(render).join("")}\n`);
  if (text.length > 0) stream.write(text.join(""));
}

/** Writes lines of a result to stdout. */
export function print(...lines: readonly Line[]): void {
  writeLines(process.stdout, lines);
}

/** Writes lines to stderr: notes, warnings, what to do next. */
export function note(...lines: readonly Line[]): void {
  writeLines(process.stderr, lines);
}

/** Prints notes on a run or its data on stderr; not with --json, whose document holds them, nor with --quiet. */
export function printNotesOn(
  notes: readonly string[],
  flags: { readonly json?: boolean | undefined; readonly quiet?: boolean | undefined },
): void {
  if (flags.json !== true && flags.quiet !== true) note(...notes.map((text) => `note: ${text}`));
}

/** Writes a result to stdout as one JSON document, in which control characters are escaped. */
export function printJson(document: unknown): void {
  process.stdout.write(`${jsonText(document)}\n`);
}

/** Returns a JSON document that is safe on a terminal. JSON itself escapes only the characters below U+0020. */
export function jsonText(document: unknown): string {
  const text = JSON.stringify(document, undefined, 2);
  return text.replaceAll(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

/** Writes a text of several lines that subbyte made itself (YAML, help) to stdout: its line breaks stay. */
export function printText(text: string): void {
  writeLines(process.stdout, text.replace(/\n$/, "").split("\n"));
}

/** Columns of the terminal that stdout goes to; undefined for a file or a pipe. */
export function outputColumns(): number | undefined {
  return process.stdout.columns;
}

const clearLine = "\r\u001b[2K";

/** One line of a terminal that is drawn over itself, with lasting lines above it. On a file or a pipe every line lasts. */
export class StatusLine {
  readonly #stream: OutputStream;
  #isOpen = false;

  constructor(stream: OutputStream = process.stderr) {
    this.#stream = stream;
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /** Columns that the line may take: one is left free, because a full line makes some terminals wrap. */
  get columns(): number {
    return (this.#stream.columns ?? 80) - 1;
  }

  /** Draws the line again. */
  show(text: string): void {
    if (!this.isTerminal) {
      this.message(text);
      return;
    }
    this.#stream.write(clearLine + printableLine(text));
    this.#isOpen = true;
  }

  /** Writes lasting lines above it. */
  message(...lines: readonly Line[]): void {
    this.clear();
    writeLines(this.#stream, lines);
  }

  /** Removes the line. */
  clear(): void {
    if (this.#isOpen) this.#stream.write(clearLine);
    this.#isOpen = false;
  }
}
