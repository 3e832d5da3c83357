import { describe, expect, it } from "vitest";
import { displayWidth, formatTable, truncate } from "../../../src/cli/view/table.ts";

describe("a table", () => {
  it("sets texts to the left and numbers to the right", () => {
    expect(
      formatTable(
        ["preset", "levels"],
        [
          ["lsq", 16],
          ["thread", 8],
          ["float", null],
        ],
      ),
    ).toBe(
      [
        "┌────────┬────────┐",
        "│ preset │ levels │",
        "├────────┼────────┤",
        "│ lsq    │     16 │",
        "│ thread │      8 │",
        "│ float  │        │",
        "└────────┴────────┘",
      ].join("\n"),
    );
  });

  it("sets a column where it is told to", () => {
    const table = formatTable([{ title: "accuracy", align: "right" }], [["87.6%"], ["9.9%"]]);
    expect(table).toContain("│    87.6% │");
    expect(table).toContain("│     9.9% │");
  });

  it("fits a width by cutting texts, widest first, and never numbers", () => {
    const columns = ["name", "remark", "count"];
    const rows = [["resnet20", "a remark that goes on and on", 1234567]];
    const table = formatTable(columns, rows, 40);
    for (const line of table.split("\n")) expect(displayWidth(line)).toBe(40);
    expect(table).toContain("1234567");
    expect(table).toContain("resnet20");
    expect(table).toContain("…");
    expect(formatTable(columns, rows, 5)).toContain("1234567");
  });

  it("counts columns, not characters", () => {
    expect(displayWidth("\u001b[31mred\u001b[39m")).toBe(3);
    expect(displayWidth("日本")).toBe(4);
    expect(displayWidth("e\u0301")).toBe(1);
    expect(truncate("日本語", 4)).toBe("日…");
    expect(truncate("short", 5)).toBe("short");
    const lines = formatTable(
      ["a", "b"],
      [
        ["\u001b[31mred\u001b[39m", "x"],
        ["日本", "y"],
      ],
    ).split("\n");
    expect(new Set(lines.map(displayWidth)).size).toBe(1);
  });

  it("may have no rows", () => {
    expect(formatTable(["a"], []).split("\n")).toHaveLength(4);
  });
});
