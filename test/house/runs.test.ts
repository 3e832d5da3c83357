/** What one run left belongs to runs/: neither its report nor a command on it needs the rooms of many runs. */
import { describe, expect, it } from "vitest";
import { parseImports, readSourceFiles, type SourceFile } from "../support/imports.ts";

/** Commands on studies, or on a run and a study alike. */
const studyCommands = new Set(["study", "mix", "report", "index"]);

/** The files of one room that a file imports, itself or through others, each with the path that leads to it. */
function reached(room: string, from: string, files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const seen = new Set([from]);
  const open = [[from]];
  const found: string[] = [];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const imported of byPath.get(path.at(-1) ?? "")?.files ?? []) {
      if (seen.has(imported)) continue;
      seen.add(imported);
      if (imported.startsWith(`${room}/`)) found.push([...path, imported].join(" -> "));
      else open.push([...path, imported]);
    }
  }
  return found;
}

function isRunCommand({ path }: SourceFile): boolean {
  const [, command] = /^cli\/(?:commands|actions)\/([a-z]+)/.exec(path) ?? [];
  return command !== undefined && !studyCommands.has(command);
}

describe("what concerns one run", () => {
  const files = readSourceFiles();

  it("is reported without the study", () => {
    expect(reached("study", "report/pages/run-report.ts", files)).toEqual([]);
  });

  it("is done on the command line without the study", () => {
    const commands = files.filter(isRunCommand);
    expect(commands.length).toBeGreaterThan(8);
    expect(commands.flatMap(({ path }) => reached("study", path, files))).toEqual([]);
  });

  it("excludes a command that reaches the study through another file", () => {
    const made = [
      parseImports("cli/commands/train.ts", 'import "../view/text.ts";'),
      parseImports("cli/view/text.ts", 'import type { A } from "../../study/a.ts";'),
      parseImports("study/a.ts", ""),
    ];
    expect(reached("study", "cli/commands/train.ts", made)).toEqual([
      "cli/commands/train.ts -> cli/view/text.ts -> study/a.ts",
    ]);
    expect(made.filter(isRunCommand).map(({ path }) => path)).toEqual(["cli/commands/train.ts"]);
  });
});
