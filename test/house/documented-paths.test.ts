/** The files that the documentation names are where it says. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => join("docs", name))].filter((name) =>
  name.endsWith(".md"),
);

/** The paths of source files in code marks. One without a folder is a file of the reader's. */
function pathsIn(text: string): string[] {
  return [...text.matchAll(/`([\w.-]+(?:\/[\w.-]+)+\.(?:ts|mjs|py))`/g)].flatMap(([, path]) => path ?? []);
}

/** Whether a path is one of the repository, or of the source tree, as the rooms' pages write it. */
function isThere(path: string): boolean {
  return existsSync(join(root, path)) || existsSync(join(root, "src", path));
}

describe("the documentation", () => {
  it.each(pages)("%s names files that exist", (page) => {
    expect(pathsIn(readFileSync(join(root, page), "utf8")).filter((path) => !isThere(path))).toEqual([]);
  });

  it("names many files, and a missing one would be found", () => {
    const named = pages.flatMap((page) => pathsIn(readFileSync(join(root, page), "utf8")));
    expect(named.length).toBeGreaterThan(20);
    expect(pathsIn("see `src/there/is-none.ts` and `mine.mjs`").filter((path) => !isThere(path))).toEqual([
      "src/there/is-none.ts",
    ]);
  });
});
