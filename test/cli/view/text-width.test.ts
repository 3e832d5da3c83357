/** The columns of text from outside: names of layers and classes in any script. */
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatTerminalLine, type ProgressState } from "../../../src/cli/view/progress-format.ts";
import { formatTable } from "../../../src/cli/view/table.ts";
import { displayWidth, truncate } from "../../../src/cli/view/text-width.ts";

const pieces = [
  "a",
  "conv1",
  "日本",
  "한글",
  "e\u0301",
  "👨‍👩‍👧",
  "🇩🇪",
  "😀",
  "ｗ",
  "ｱ",
  "—",
  "\u200b",
  "\u001b[31mred\u001b[39m",
  " ",
];
const name = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join(""));

describe("the width of text on a terminal", () => {
  it("counts columns, not characters", () => {
    expect(displayWidth("\u001b[31mred\u001b[39m")).toBe(3);
    expect(displayWidth("日本")).toBe(4);
    expect(displayWidth("e\u0301")).toBe(1);
    expect(displayWidth("ｗ")).toBe(2);
    expect(displayWidth("👨‍👩‍👧")).toBe(2);
    expect(displayWidth("a\u200bb")).toBe(2);
    expect(truncate("日本語", 4)).toBe("日…");
    expect(truncate("short", 5)).toBe("short");
    expect(truncate("👨‍👩‍👧👨‍👩‍👧", 3)).toBe("👨‍👩‍👧…");
  });

  it("of a text that is cut is at most what is asked for, less one where a wide letter does not fit", () => {
    fc.assert(
      fc.property(name, fc.nat(30), (text, width) => {
        const cut = truncate(text, width);
        expect(displayWidth(cut)).toBeLessThanOrEqual(width);
        if (displayWidth(text) > width) expect(displayWidth(cut)).toBeGreaterThanOrEqual(Math.max(0, width - 1));
        if (cut !== text && width > 0) expect(stripVTControlCharacters(text).startsWith(cut.slice(0, -1))).toBe(true);
      }),
    );
  });

  it("of every line of a table is the same, whatever its cells hold", () => {
    const rows = fc.array(fc.tuple(name, name), { maxLength: 5 });
    fc.assert(
      fc.property(rows, fc.constantFrom(Number.POSITIVE_INFINITY, 30, 18), (cells, width) => {
        const lines = formatTable(["layer", "class"], cells, width).split("\n");
        expect(new Set(lines.map(displayWidth)).size).toBe(1);
      }),
    );
  });

  it("of a progress line is at most that of the terminal", () => {
    fc.assert(
      fc.property(name, fc.nat(120), (stageName, columns) => {
        const report = { stage: 0, step: 1, epoch: 1, epochs: 2, stepInEpoch: 1, stepsPerEpoch: 2, loss: 1 };
        const state: ProgressState = {
          stageName,
          samples: "images",
          report,
          fraction: 0.5,
          elapsedSeconds: 1,
          secondsLeft: 1,
        };
        expect(displayWidth(formatTerminalLine(state, columns))).toBeLessThanOrEqual(columns);
      }),
    );
  });
});
