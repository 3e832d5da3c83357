/**
 * Tables of numbers as text (CSV, TSV), also packed by gzip, parsed by Papa Parse in chunks, so that the whole text is
 * never in memory.
 *
 * Whether the first row holds the names of the columns is decided by header.ts. A column without a name whose cells are
 * whole numbers is pandas' index, and is left out.
 */

import { Readable } from "node:stream";
import { defined } from "../../../base/defined.ts";
import { FileFormatError } from "../../../errors.ts";
import { checkMemory } from "../../../io/file-bytes.ts";
import { maybePackedChunks } from "../../../io/gzip.ts";
import { defaultMemoryBytes } from "../../dataset/streamed-dataset.ts";
import { comparedRows, decideFirstRow, isNumber, isUnnamed } from "./header.ts";

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
  /** Limit of the memory for the features; default 1 GiB. */
  readonly memoryBytes?: number;
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
  /** Notes on the first row and on columns without a name. */
  readonly notes: readonly string[];
}

/** Longest row in characters: a longer one is no table. */
const longestRow = 2 ** 22;

/** Names of columns that are targets by default; without one of them the last column is. */
const targetNames: readonly string[] = ["label", "labels", "class", "target", "y"];

/** The replacement for bytes that are not UTF-8, and control characters, which text does not contain. */
const notText = /[\uFFFD\p{Cc}]/u;

/** Reads a table. @throws FileFormatError naming the row and column of what is wrong. */
export async function readCsv(path: string, options: CsvOptions = {}): Promise<CsvTable> {
  const { default: papa } = await import("papaparse");
  const reader = new TableReader(path, options);
  const stream = Readable.from(textOf(path));
  await new Promise<void>((resolve, reject) => {
    let sinceRow = 0;
    stream.on("data", (text: string) => {
      sinceRow += text.length;
      if (sinceRow <= longestRow) return;
      stream.destroy();
      reject(reader.tooLong());
    });
    stream.on("error", reject);
    papa.parse<string[]>(stream, {
      skipEmptyLines: "greedy",
      step: ({ data, errors }, parser) => {
        sinceRow = 0;
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

/** The text of a file, unpacked where it begins as gzip does, without a byte order mark. */
async function* textOf(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of maybePackedChunks(path)) {
    const text = decoder.decode(chunk, { stream: true });
    if (text !== "") yield text;
  }
  const rest = decoder.decode();
  if (rest !== "") yield rest;
}

/** Collects the rows of a table. */
class TableReader {
  readonly #path: string;
  readonly #options: CsvOptions;
  #names: readonly string[] | undefined;
  /** The first rows, until it is known whether the very first one holds names. */
  #held: (readonly string[])[] = [];
  readonly #notes: string[] = [];
  /** The first column, where it has no name and all its cells so far are whole numbers. */
  #index: number | undefined;
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
    if (this.#names !== undefined) {
      this.#addRow(cells);
      return;
    }
    this.#held.push(cells);
    if (this.#held.length > comparedRows || this.#options.header !== undefined) this.#begin();
  }

  #addRow(cells: readonly string[]): void {
    const width = this.#names?.length ?? 0;
    if (cells.length !== width) {
      throw this.#fail(
        `it has ${cells.length} cells, the first row has ${width}`,
        "Give every row the same number of cells; quote cells that contain the separator.",
      );
    }
    if (this.#length + this.#features.length > this.#values.length) this.#grow();
    for (const column of this.#features) this.#values[this.#length++] = this.#number(cells[column] ?? "", column);
    if (this.#index !== undefined && !/^\s*\d+\s*$/.test(cells[this.#index] ?? "")) this.#index = undefined;
    if (this.#target !== undefined) this.#targets.push(this.#word((cells[this.#target] ?? "").trim()));
    this.#rows++;
  }

  finish(): CsvTable {
    if (this.#names === undefined && this.#held.length > 0) this.#begin();
    if (this.#rows === 0) {
      throw new FileFormatError("the table has no rows of data", {
        where: this.#path,
        remedy: "Give a table with rows.",
      });
    }
    const names = this.#names ?? [];
    const targetName = this.#target === undefined ? undefined : names[this.#target];
    const features = this.#withoutIndex();
    return {
      rows: this.#rows,
      featureNames: this.#features.map((column) => names[column] ?? `${column}`),
      features,
      headRows: this.#headRows,
      ...defined({ targetName }),
      targets: this.#targets,
      notes: this.#notes,
    };
  }

  /** The values without those of a column that only numbers the rows. */
  #withoutIndex(): Float32Array {
    const width = this.#features.length;
    const at = this.#index === undefined ? -1 : this.#features.indexOf(this.#index);
    const unnamed = this.#features.find((column) => this.#headRows > 0 && isUnnamed(this.#names?.[column] ?? ""));
    if (at < 0 || width === 1) {
      if (unnamed !== undefined) this.#notes.push(`the column without a name, column ${unnamed}, is a feature`);
      return this.#values.slice(0, this.#length);
    }
    this.#notes.push(
      `column ${this.#index}, which has no name and numbers the rows, is left out; give it a name to use it`,
    );
    this.#features = this.#features.filter((column) => column !== this.#index);
    const kept = new Float32Array(this.#rows * (width - 1));
    for (let i = 0, to = 0; i < this.#length; i++) if (i % width !== at) kept[to++] = this.#values[i] ?? 0;
    return kept;
  }

  get #headRows(): number {
    return this.#seen - this.#rows;
  }

  /** The error for a row that has no end. */
  tooLong(): FileFormatError {
    this.#seen++;
    return this.#fail(`it has more than ${longestRow} characters`, "Give a table with a line for each row.");
  }

  /** Decides about the first row and reads the rows that were held back. */
  #begin(): void {
    const [first = [], ...below] = this.#held;
    this.#held = [];
    const end = this.#seen;
    this.#seen = 1;
    const trimmed = first.map((cell) => this.#text(cell));
    const { header } = this.#options;
    const shown = below.map((row) => row.map((cell) => cell.trim()));
    const decided = header === undefined ? decideFirstRow(trimmed, shown) : { isHeader: header };
    if ("note" in decided && decided.note !== undefined) this.#notes.push(decided.note);
    this.#setColumns(trimmed, decided.isHeader);
    for (const row of decided.isHeader ? below : [first, ...below]) {
      this.#seen = this.#rows + (decided.isHeader ? 2 : 1);
      this.#addRow(row);
    }
    this.#seen = end;
  }

  #setColumns(trimmed: readonly string[], isHeader: boolean): void {
    const names = isHeader ? trimmed : trimmed.map((_, column) => `${column}`);
    this.#names = names;
    this.#target = this.#findTarget(names);
    const ignored = new Set((this.#options.ignore ?? []).map((column) => this.#column(column, names)));
    this.#features = [...names.keys()].filter((column) => column !== this.#target && !ignored.has(column));
    if (isHeader && isUnnamed(names[0] ?? "") && this.#features.includes(0)) this.#index = 0;
    if (this.#features.length === 0) {
      throw this.#fail(
        `the columns ${names.join(", ")} leave no feature`,
        "Give a table with features, or target: null.",
      );
    }
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
    if (isNumber(cell.trim())) return Number(cell);
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
    const limit = this.#options.memoryBytes ?? defaultMemoryBytes;
    checkMemory(
      4 * this.#length,
      limit,
      this.#path,
      "Set data.memoryBytes to more, or save the table with numpy.save.",
    );
    const larger = new Float32Array(Math.max(2 * this.#values.length, this.#length + this.#features.length));
    larger.set(this.#values);
    this.#values = larger;
  }

  #fail(message: string, remedy: string): FileFormatError {
    return new FileFormatError(message, { where: `${this.#path}, row ${this.#seen}`, remedy });
  }
}
