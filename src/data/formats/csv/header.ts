/**
 * Whether the first row of a table holds the names of its columns, and which column numbers the rows.
 *
 * Names may be numbers: pandas calls the columns of an array 0, 1, 2 and so on. So the first rows are compared with the
 * one above them.
 */

/** Rows below the first one that are compared with it. */
export const comparedRows = 64;

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Whether a cell is a number as pandas reads it; not hexadecimal digits, as JavaScript would. */
export function isNumber(cell: string): boolean {
  return decimal.test(cell) && Number.isFinite(Number(cell));
}

/** The decision about a first row. */
export interface FirstRow {
  readonly isHeader: boolean;
  /** A remark for the user where the row is no clear case. */
  readonly note?: string;
}

/**
 * Decides whether the first row holds names: without any number in it; with a word above numbers; with the numbers 0, 1, 2
 * and so on.
 *
 * @param first Trimmed cells of the first row.
 * @param below Trimmed cells of the next rows, at most {@link comparedRows}.
 */
export function decideFirstRow(first: readonly string[], below: readonly (readonly string[])[]): FirstRow {
  if (!first.some(isNumber)) return { isHeader: true };
  const columns = first.map((name, column) => ({ name, cells: below.map((row) => row[column] ?? "") }));
  const isAboveNumbers = columns.some(
    ({ name, cells }) => name !== "" && !isNumber(name) && cells.length > 0 && cells.every(isNumber),
  );
  if (isAboveNumbers) return { isHeader: true };
  const numbers = first.filter(isNumber);
  const words = first.filter((cell) => cell !== "" && !isNumber(cell));
  const isCounted = numbers.every((cell, i) => cell === `${i}`);
  if (isCounted && numbers.length >= (words.length > 0 ? 2 : 3)) {
    return words.length > 0 ? { isHeader: true } : { isHeader: true, note: note("names of columns", "false") };
  }
  const lonely = columns.find(({ name, cells }) => words.includes(name) && isLonely(name, cells));
  if (lonely === undefined) return { isHeader: false };
  return { isHeader: false, note: `${note("data", "true")} ("${lonely.name}" is in no other row)` };
}

function note(what: string, other: string): string {
  return `the first row is read as ${what}; data.header=${other} if it is not`;
}

/** Whether a word is not among words that occur several times each. */
function isLonely(word: string, cells: readonly string[]): boolean {
  return cells.length > 2 && !cells.includes(word) && new Set(cells).size <= cells.length / 2;
}

/** Whether a column has no name: pandas writes the numbers of the rows so. */
export function isUnnamed(name: string): boolean {
  return name === "" || /^Unnamed: \d+$/.test(name);
}
