/** Text tables for the terminal: light box lines, numbers to the right, cut to the width that there is. */
import { printableLine } from "./printable.ts";
import { displayWidth, truncate } from "./text-width.ts";

/** The value of a cell. A number is written unchanged; round it before. null is an empty cell. */
export type Cell = string | number | null;

/** A column's heading and the side that its cells are set to. */
export interface Column {
  readonly title: string;
  /** Default: right when every cell of the column is a number or empty, left otherwise. */
  readonly align?: "left" | "right";
}

function pad(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, width - displayWidth(text)));
  return align === "right" ? space + text : text + space;
}

/** A column that is narrower than this says nothing any more. */
const smallestWidth = 4;

/** Takes the columns that are too much for the table from the widest text column, one at a time. */
function fitWidths(natural: readonly number[], shrinkable: readonly boolean[], available: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, width) => sum + width, 0) - available;
  while (excess > 0) {
    let widest = -1;
    widths.forEach((width, i) => {
      if (shrinkable[i] === true && width > smallestWidth && width > (widths[widest] ?? 0)) widest = i;
    });
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess--;
  }
  return widths;
}

/**
 * Returns a table as lines.
 *
 *     ┌────────┬──────────┐
 *     │ preset │ accuracy │
 *     ├────────┼──────────┤
 *     │ lsq    │     87.6 │
 *     └────────┴──────────┘
 *
 * With a `width`, text columns are cut until it fits; numbers never are, for half a number is a wrong number. Control
 * characters in cells are shown as text.
 */
export function tableLines(
  columns: readonly (string | Column)[],
  rows: readonly (readonly Cell[])[],
  width = Number.POSITIVE_INFINITY,
): string[] {
  const specs = columns.map((column) => {
    const spec = typeof column === "string" ? { title: column } : column;
    return { ...spec, title: printableLine(spec.title) };
  });
  const texts = rows.map((row) => specs.map((_, i) => (row[i] === null ? "" : printableLine(String(row[i] ?? "")))));
  const holdsText = specs.map((_, i) => rows.some((row) => typeof row[i] === "string"));
  const aligns = specs.map((spec, i) => spec.align ?? (holdsText[i] === true ? "left" : "right"));
  const natural = specs.map((spec, i) =>
    Math.max(displayWidth(spec.title), ...texts.map((row) => displayWidth(row[i] ?? ""))),
  );
  const shrinkable = aligns.map((align) => align === "left");
  const widths = fitWidths(natural, shrinkable, width - 3 * specs.length - 1);

  const rule = (left: string, middle: string, right: string) =>
    left + widths.map((size) => "─".repeat(size + 2)).join(middle) + right;
  const line = (cells: readonly string[]) => {
    const padded = widths.map((size, i) => pad(truncate(cells[i] ?? "", size), size, aligns[i] ?? "left"));
    return `│ ${padded.join(" │ ")} │`;
  };
  return [
    rule("┌", "┬", "┐"),
    line(specs.map((spec) => spec.title)),
    rule("├", "┼", "┤"),
    ...texts.map(line),
    rule("└", "┴", "┘"),
  ];
}

/** Returns a table as one text, without a line break at its end. */
export function formatTable(...args: Parameters<typeof tableLines>): string {
  return tableLines(...args).join("\n");
}
