/** Paths are shown as they are typed: relative where they lie in the current folder. */
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { shownPath } from "../../../src/cli/view/shown-path.ts";

const here = resolve("/home/me/work");

describe("a shown path", () => {
  it.each([
    [join(here, "runs", "float"), join("runs", "float")],
    [join(here, "..float"), "..float"],
    [resolve("/home/me/other/float"), resolve("/home/me/other/float")],
    [resolve("/home/me/working/float"), resolve("/home/me/working/float")],
    [here, here],
    ["mine.onnx", "mine.onnx"],
  ])("%s is %s", (path, shown) => {
    expect(shownPath(path, here)).toBe(shown);
  });
});
