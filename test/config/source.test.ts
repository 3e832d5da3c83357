import { describe, expect, it } from "vitest";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import {
  deletePath,
  type Mapping,
  parseScalar,
  parseSetOption,
  parseSource,
  setPath,
} from "../../src/config/source.ts";
import { ConfigError } from "../../src/errors.ts";
import { resolveStudyConfig } from "../../src/study/plan/config.ts";

const source = {
  name: "c.yaml",
  text: ["a:", "  b: 3", "  list:", "    - x: 1", "    - x: 2", "empty:", "s: [1, 2]", ""].join("\n"),
};

describe("a position in a source", () => {
  const { locate } = parseSource(source);
  const at = locate([{ path: "a.set", value: 1, origin: "--set a.set=1" }]);

  it.each([
    [["a", "b"], "key", "c.yaml:2:3"],
    [["a", "b"], "value", "c.yaml:2:6"],
    [["a", "list", 1, "x"], "value", "c.yaml:5:10"],
    [["a", "list", 1], "value", "c.yaml:5:7"],
    [["s", 1], "value", "c.yaml:7:8"],
    [["a", "b", "missing"], "value", "c.yaml:2:3"],
    [["a", "missing"], "key", "c.yaml:1:1"],
    [["empty"], "value", "c.yaml:6:7"],
    [["missing"], "value", "c.yaml"],
    [["a", "set", "inner"], "value", "--set a.set=1"],
  ] as const)("of %j, %s", (path, part, expected) => {
    expect(at(path, part)).toBe(expected);
  });
});

describe("a dotted path", () => {
  it("is set and taken back, and makes the mappings that it needs", () => {
    const root: Mapping = { a: null };
    setPath(root, "a.b.c", 1);
    setPath(root, "a.b.d", null);
    expect(root).toEqual({ a: { b: { c: 1, d: null } } });
    deletePath(root, "a.b.c");
    expect(root).toEqual({ a: { b: { d: null } } });
  });
});

describe("an alias", () => {
  const texts = ["seed: *a", "model: { name: *a }", "a: &a [*a]", "? *b\n: 1"];
  const bomb = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"];
  for (const [name, before] of ["ba", "cb", "dc", "ed"]) {
    bomb.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(", ")}]`);
  }

  it.each([...texts, bomb.join("\n")])("that cannot be resolved is a mistake of the text, named: %j", (text) => {
    const read = { name: "c.yaml", text };
    expect(() => resolveTrainingConfig(read)).toThrow(ConfigError);
    expect(() => resolveStudyConfig(read)).toThrow(ConfigError);
  });

  it.each(["*a", "{ a: *b }", "[*c]"])("in a flag is a mistake too, or a text: %s", (text) => {
    expect(() => parseSetOption(`seed=${text}`)).toThrow(ConfigError);
    expect(parseScalar(text)).toBe(text);
  });
});
