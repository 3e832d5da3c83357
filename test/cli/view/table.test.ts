import { describe, expect, it } from "vitest";
import { formatTable } from "../../../src/cli/view/table.ts";
import { displayWidth } from "../../../src/cli/view/text-width.ts";

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

  it("aligns a column as its header asks", () => {
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

  it("may have no rows", () => {
    expect(formatTable(["a"], []).split("\n")).toHaveLength(4);
  });
});
