/** That the rules of the house notice what they forbid, and only that. */

import ts from "typescript";
import { describe, expect, it } from "vitest";
import { excess, formatAllowance, parseAllowance } from "./rules/allow-list.ts";
import { repeatedNames, undocumented } from "./rules/declarations.ts";
import { crowdedFolders, longFiles, sharedPrefixes } from "./rules/folders.ts";
import { recordNameLiterals, recordNameSets } from "./rules/literals.ts";
import { nameTests } from "./rules/name-tests.ts";
import { type Breach, parseText } from "./rules/project.ts";
import { bannedWordsIn, bannedWordsInTitles } from "./rules/words.ts";

function texts(breaches: readonly Breach[]): string[] {
  return breaches.map(({ text }) => text);
}

describe("an allow-list", () => {
  const breaches = [
    { key: "src/a.ts", text: "src/a.ts:1: x" },
    { key: "src/a.ts", text: "src/a.ts:2: y" },
  ];
  const present = () => true;

  it("tolerates as much as it says, and less", () => {
    expect(excess("list", breaches, parseAllowance("# why\n2 src/a.ts\n"), present)).toEqual([]);
    expect(excess("list", breaches, parseAllowance("7 src/a.ts\n"), present)).toEqual([]);
    expect(excess("list", [], parseAllowance("7 src/a.ts\n"), present)).toEqual([]);
  });

  it("names the places and the line to change", () => {
    const [message] = excess("list", breaches, parseAllowance("1 src/a.ts\n"), present);
    expect(message).toContain('Remove 1 of these; test/house/allowed/list.txt says "1 src/a.ts"');
    expect(message).toContain("src/a.ts:2: y");
    expect(excess("list", breaches, new Map(), present)[0]).toContain("has no line for it");
  });

  it("follows a file that was renamed, with no more than it was allowed", () => {
    const exists = (key: string) => key !== "src/old.ts";
    expect(excess("list", breaches, parseAllowance("2 src/old.ts\n"), exists)).toEqual([]);
    expect(excess("list", breaches, parseAllowance("1 src/old.ts\n"), exists)).toHaveLength(1);
    expect(excess("list", breaches, parseAllowance("2 src/b.ts\n"), exists)).toHaveLength(1);
  });

  it("is written as it is read, sorted", () => {
    const text = "# why\n2 src/a.ts\n1 src/b.ts\n";
    expect(formatAllowance("why", parseAllowance("1 src/b.ts\n2 src/a.ts\n0 src/c.ts\n"))).toBe(text);
    expect(() => parseAllowance("src/a.ts 2")).toThrow(/COUNT KEY/);
  });
});

describe("names of records", () => {
  const text = `
    const a = node.op === "Conv";
    const b = new Set(["Relu", "lsq", "other"]);
    const rules = { Gemm: 1, MatMul() {}, layer: 2 };
    type C = "Add";
    builder.one("Conv", [x]); builder.node("Add", [x, y]);
    const label = \`Conv\`;
    // "Conv"
    const Conv = node.Conv("a Conv");
  `;

  it("are found as literals, types and keys, but not where a node is made nor in comments", () => {
    expect(texts(recordNameLiterals([parseText("src/compile/a.ts", text)]))).toEqual([
      'src/compile/a.ts:2: "Conv"',
      'src/compile/a.ts:3: "Relu"',
      'src/compile/a.ts:3: "lsq"',
      "src/compile/a.ts:4: Gemm: 1",
      "src/compile/a.ts:4: MatMul() {}",
      'src/compile/a.ts:5: "Add"',
      "src/compile/a.ts:7: `Conv`",
    ]);
  });

  it("are at home in their rooms", () => {
    const paths = ["src/ops/families/conv.ts", "src/onnx/write/write.ts", "src/qconfig/presets.ts"];
    expect(recordNameLiterals(paths.map((path) => parseText(path, text)))).toEqual([]);
    expect(recordNameLiterals([parseText("src/qconfig/presets-of-mine.ts", text)])).not.toEqual([]);
  });

  it("are found as sets", () => {
    expect(texts(recordNameSets([parseText("src/compile/a.ts", text)]))).toEqual([
      'src/compile/a.ts:3: ["Relu", "lsq", "other"]',
      "src/compile/a.ts:4: { Gemm: 1, MatMul() {}, layer: 2 }",
    ]);
  });
});

describe("tests on names", () => {
  function find(text: string): string[] {
    const file = parseText("src/a.ts", text);
    const host = ts.createCompilerHost({});
    const program = ts.createProgram(
      ["src/a.ts"],
      { noLib: true, noResolve: true },
      { ...host, getSourceFile: (path) => (path === "src/a.ts" ? file.tree : undefined) },
    );
    return texts(nameTests({ files: [file], checker: program.getTypeChecker() }));
  }

  const types = `
    interface Node { name: string; op: string } interface QuantizerSite { name: string; layer: string }
    interface File { name: string }
    type Named = { [Key in "name"]: Node[Key] };
    declare const node: Node, site: QuantizerSite | undefined, file: File, text: string;
  `;

  it("are found on properties, variables and destructured names", () => {
    const found = find(`${types}
      node.name.startsWith(text);
      site?.layer.replace(/x$/, "");
      /^a/.test(node.name);
      const name = node.name; name.split("/");
      const { name: own, op } = node; own.endsWith("b"); op.endsWith("c");
      (siteName) => siteName.slice(1);
      text.replace(/\\.quantizer$/, ""); text.endsWith(".weight");
    `);
    expect(found.map((line) => line.replace(/^\S+ /, ""))).toEqual([
      "node.name.startsWith(text)",
      'site?.layer.replace(/x$/, "")',
      "/^a/.test(node.name)",
      'name.split("/")',
      'own.endsWith("b")',
      "siteName.slice(1)",
      'text.replace(/\\.quantizer$/, "")',
      'text.endsWith(".weight")',
    ]);
  });

  it("are not found on other names, operators and texts", () => {
    expect(find(`${types} file.name.endsWith(".npy"); node.op.startsWith("Conv"); text.split("/");`)).toEqual([]);
  });
});

describe("exported declarations", () => {
  it("need a doc comment, once for all overloads", () => {
    const file = parseText(
      "src/ir/a.ts",
      `/** The file. */
       import "x";
       export const a = 1, b = 2;
       /** Returns one. */
       export function f(x: 1): 1;
       export function f(x: 2): 2;
       /** */
       export interface I {}
       // A comment, no doc comment.
       export class C {}
       type Own = 1;
       export type { Own };
       export { c } from "./c.ts";`,
    );
    expect(texts(undocumented([file])).map((text) => text.replace(/:.*/, ""))).toEqual(["a", "b", "I", "C"]);
  });

  it("have their name for themselves among the rooms", () => {
    const files = [
      parseText("src/ir/a.ts", "export interface Finding {}\nexport const own = 1;\nconst mean = 1;"),
      parseText("src/study/b.ts", "export type Finding = 1;\nexport type Other = 1;\nexport function mean() {}"),
      parseText("src/study/c.ts", "export type Other = 2;\nexport { Finding } from '../ir/a.ts';"),
    ];
    expect(repeatedNames(files)).toEqual([{ key: "Finding", text: "src/ir/a.ts and src/study/b.ts" }]);
  });
});

describe("files and folders", () => {
  it("are small", () => {
    const many = Array.from({ length: 17 }, (_, i) => `src/ir/${String.fromCharCode(97 + i)}.ts`);
    expect(crowdedFolders(many).map(({ key }) => key)).toEqual(["src/ir/", "src/ir/"]);
    expect(crowdedFolders(many.slice(2))).toEqual([]);
    expect(longFiles([{ path: "a.ts", text: "\n".repeat(401) }])).toHaveLength(1);
    expect(longFiles([{ path: "a.ts", text: "\n".repeat(400) }])).toEqual([]);
  });

  it("share the first word of their names with one other at most", () => {
    const paths = ["src/a/fix.ts", "src/a/fix-plan.ts", "src/a/fix-view.test.ts", "src/b/fix-x.ts", "src/a/fixed.ts"];
    expect(sharedPrefixes(paths).map(({ key }) => key)).toEqual(["src/a/fix-", "src/a/fix-", "src/a/fix-"]);
    expect(sharedPrefixes(paths.slice(1))).toEqual([]);
  });
});

describe("words", () => {
  it("are found in prose and inside identifiers, with a better one", () => {
    const found = bannedWordsIn("a.ts", "the hopeless\nfindPatient(rivals) asWritten: a 4W4A run; in two pictures");
    expect(texts(found)).toEqual([
      'a.ts:1: "hopeless", better: stop early',
      'a.ts:2: "patient", better: failing trial',
      'a.ts:2: "rivals", better: uniform baseline',
      'a.ts:2: "pictures", better: image',
      'a.ts:2: "asWritten", better: disableGraphRewrites',
      'a.ts:2: "4W4A", better: W4A4',
    ]);
  });

  it("are not found inside others, nor in the alias of --fix", () => {
    const text =
      "besides, recommend patience: --cure, obscured secure amend, arrivals, as written, W4A4, going, mean, gave";
    expect(bannedWordsIn("a.ts", text)).toEqual([]);
  });

  it("may stand in the file of the former names alone", () => {
    expect(bannedWordsIn("src/config/former-names.ts", 'images: "pictures"')).toEqual([]);
    expect(bannedWordsIn("src/config/names.ts", 'images: "pictures"')).toHaveLength(1);
  });

  it("are found in the titles of tests", () => {
    const file = parseText(
      "test/a.test.ts",
      'it("gives a patient", () => {}); it.each(xs)("is cured", f); say("a cure")',
    );
    expect(bannedWordsInTitles(file)).toHaveLength(2);
  });
});
