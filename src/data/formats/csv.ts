/**
 * Tables of numbers as text (CSV, TSV), parsed by Papa Parse in chunks, so that the whole text is never in memory.
 *
 * The first row holds the names of the columns when none of its cells is a number.
 */

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { defined } from "../../base/defined.ts";
import { FileFormatError, InputOutputError } from "../../errors.ts";
import { describeSystemError } from "../../io/system-error.ts";

/** The roles of columns. */
export interface CsvOptions {
  /** Name or number (from 0; negative from the end) of the column to predict; null: none. */
  readonly target?: string | number | null;
  /** Without `target`: whether only a column with a name of {@link targetNames}, never the last one. Default false. */
  readonly onlyNamedTarget?: boolean;
  /** Names or numbers of columns to ignore. */
  readonly ignore?: readonly (string | number)[];
  /** Whether the first row holds the names of the columns; detected when not given. */
  readonly header?: boolean;
}

/** A table in memory. */
export interface CsvTable {
  readonly rows: number;
  readonly featureNames: readonly string[];
  /** Row by row. */
  readonly features: Float32Array;
  /** Name of the column to predict, absent without one. */
  readonly targetName?: string;
  /** Rows before the data: 1 where the columns have names, else 0. */
  readonly headRows: number;
  /** The cells of the target column as text, trimmed. */
  readonly targets: readonly string[];
}

/** Names of columns that are targets by default; without one of them the last column is. */
const targetNames: readonly string[] = ["label", "labels", "class", "target", "y"];

/** The replacement for bytes that are not UTF-8, and control characters, which text does not contain. */
const notText = /[\uFFFD\p{Cc}]/u;

/** Reads a table. @throws FileFormatError naming the row and column of what is wrong. */
export async function readCsv(path: string, options: CsvOptions = {}): Promise<CsvTable> {
  const { default: papa } = await import("papaparse");
  const reader = new TableReader(path, options);
  const stream = createReadStream(path, { encoding: "utf8", start: await byteOrderMarkLength(path) });
  await new Promise<void>((resolve, reject) => {
    stream.on("error", (cause) => {
      const { reason, remedy } = describeSystemError(cause);
      const details = { where: path, cause, ...defined({ remedy }) };
      reject(new InputOutputError(`the file cannot be read: ${reason}`, details));
    });
    papa.parse<string[]>(stream, {
      skipEmptyLines: "greedy",
      step: ({ data, errors }, parser) => {
        try {
          reader.add(data, errors.find(({ type }) => type === "Quotes")?.message);
        } catch (error) {
          // First, as abort calls complete.
          reject(error);
          parser.abort();
          stream.destroy();
        }
      },
      complete: () => resolve(),
      error: reject,
    });
  });
  return reader.finish();
}

/** Returns the length of a UTF-8 byte order mark, which some programs write: 3 or 0. */
async function byteOrderMarkLength(path: string): Promise<number> {
  const handle = await open(path, "r").catch(() => undefined);
  try {
    const start = Buffer.alloc(3);
    await handle?.read(start, 0, 3, 0).catch(() => undefined);
    return start.toString("utf8") === "\uFEFF" ? 3 : 0;
  } finally {
    await handle?.close();
  }
}

/** Collects the rows of a table. */
class TableReader {
  readonly #path: string;
  readonly #options: CsvOptions;
  #names: readonly string[] | undefined;
  /** Numbers of the columns that are features. */
  #features: readonly number[] = [];
  #target: number | undefined;
  #values = new Float32Array(1024);
  #length = 0;
  readonly #targets: string[] = [];
  /** Rows so far, the names included. */
  #seen = 0;
  #rows = 0;
  /** Words that rows share, stored once. */
  readonly #words = new Map<string, string>();

  constructor(path: string, options: CsvOptions) {
    this.#path = path;
    this.#options = options;
  }

  add(cells: readonly string[], quoteProblem: string | undefined): void {
    this.#seen++;
    if (quoteProblem !== undefined)
      throw this.#fail(`the quotes are malformed: ${quoteProblem}`, "Correct the quotes.");
    if (this.#names === undefined && this.#begin(cells)) return;
    const width = this.#names?.length ?? 0;
    if (cells.length !== width) {
      throw this.#fail(
        `it has ${cells.length} cells, the first row has ${width}`,
        "Give every row the same number of cells; quote cells that contain the separator.",
      );
    }
    if (this.#length + this.#features.length > this.#values.length) this.#grow();
    for (const column of this.#features) this.#values[this.#length++] = this.#number(cells[column] ?? "", column);
    if (this.#target !== undefined) this.#targets.push(this.#word((cells[this.#target] ?? "").trim()));
    this.#rows++;
  }

  finish(): CsvTable {
    if (this.#rows === 0) {
      throw new FileFormatError("the table has no rows of data", {
        where: this.#path,
        remedy: "Give a table with rows.",
      });
    }
    const names = this.#names ?? [];
    const targetName = this.#target === undefined ? undefined : names[this.#target];
    return {
      rows: this.#rows,
      featureNames: this.#features.map((column) => names[column] ?? `${column}`),
      features: this.#values.slice(0, this.#length),
      headRows: this.#seen - this.#rows,
      ...defined({ targetName }),
      targets: this.#targets,
    };
  }

  /** Reads the first row. Returns whether it holds the names. */
  #begin(cells: readonly string[]): boolean {
    const trimmed = cells.map((cell) => this.#text(cell));
    const isHeader = this.#options.header ?? !trimmed.some(isNumber);
    const names = isHeader ? trimmed : trimmed.map((_, column) => `${column}`);
    this.#names = names;
    this.#target = this.#findTarget(names);
    const ignored = new Set((this.#options.ignore ?? []).map((column) => this.#column(column, names)));
    this.#features = [...names.keys()].filter((column) => column !== this.#target && !ignored.has(column));
    if (this.#features.length === 0) {
      throw this.#fail(
        `the columns ${names.join(", ")} leave no feature`,
        "Give a table with features, or target: null.",
      );
    }
    return isHeader;
  }

  #findTarget(names: readonly string[]): number | undefined {
    const { target } = this.#options;
    if (target === null) return undefined;
    if (target !== undefined) return this.#column(target, names);
    const named = names.findIndex((name) => targetNames.includes(name.toLowerCase()));
    if (named >= 0) return named;
    return this.#options.onlyNamedTarget === true ? undefined : names.length - 1;
  }

  #column(wanted: string | number, names: readonly string[]): number {
    const column = typeof wanted === "string" ? names.indexOf(wanted) : wanted < 0 ? names.length + wanted : wanted;
    if (Number.isInteger(column) && column >= 0 && column < names.length) return column;
    throw this.#fail(`there is no column ${JSON.stringify(wanted)}`, `The columns are ${names.join(", ")}.`);
  }

  #number(cell: string, column: number): number {
    const value = Number(cell);
    if (Number.isFinite(value) && cell.trim() !== "") return value;
    const name = this.#names?.[column] ?? `${column}`;
    this.#text(cell);
    throw this.#fail(
      `column "${name}" holds ${cell.trim() === "" ? "nothing" : JSON.stringify(cell)}, which is not a number`,
      "Fill in missing values and turn words into numbers, or leave the column out (data.ignore).",
    );
  }

  #word(text: string): string {
    const known = this.#words.get(text);
    if (known !== undefined) return known;
    this.#words.set(text, this.#text(text));
    return text;
  }

  /** Returns the cell, trimmed. @throws FileFormatError for control characters, which a terminal would obey. */
  #text(cell: string): string {
    if (!notText.test(cell.replace(/\s/g, ""))) return cell.trim();
    throw this.#fail("it is not text in UTF-8", "Save the table as CSV in UTF-8.");
  }

  #grow(): void {
    const larger = new Float32Array(Math.max(2 * this.#values.length, this.#length + this.#features.length));
    larger.set(this.#values);
    this.#values = larger;
  }

  #fail(message: string, remedy: string): FileFormatError {
    return new FileFormatError(message, { where: `${this.#path}, row ${this.#seen}`, remedy });
  }
}

function isNumber(cell: string): boolean {
  return cell !== "" && Number.isFinite(Number(cell));
}
