/**
 * The order of the rooms: data flows down the list, imports point only upward in it.
 *
 * Breaking a rule here is a question about the design, so change the tables only together with docs/architecture.md.
 */

import { builtinModules } from "node:module";
import { describe, expect, it } from "vitest";
import { findCycle, loadedPackages, parseImports, readSourceFiles, type SourceFile } from "../support/imports.ts";

/** A file may import its own room and the rooms before it. `errors`, `browser` and `index` are the files of that name. */
const roomOrder = [
  "errors",
  "base",
  "io",
  "ir",
  "onnx",
  "ops",
  "models",
  "quantizers",
  "observers",
  "qconfig",
  "compile",
  "plugins",
  "runtime",
  "importer",
  "data",
  "config",
  "runs",
  "train",
  "convert",
  "diagnose",
  "study",
  "report",
  "cli",
  "browser",
  "index",
];

/** The files that may import modules of Node.js; all the others must run in a browser. */
const mayUseNode = [
  /^io\//,
  /^runtime\/node/,
  /^importer\/node-files/,
  /^data\//,
  /^plugins\/load/,
  /^config\//,
  /^runs\//,
  /^train\//,
  /^study\//,
  /^report\//,
  /^cli\//,
];

/** The files that may import ONNX Runtime. */
const mayUseOnnxRuntime = [/^runtime\//];

function roomOf(path: string): string {
  return path.split("/")[0]?.replace(/\.ts$/, "") ?? path;
}

function isNodeModule(specifier: string): boolean {
  return specifier.startsWith("node:") || builtinModules.includes(specifier);
}

function roomBreaches(files: readonly SourceFile[]): string[] {
  const rank = (path: string) => roomOrder.indexOf(roomOf(path));
  return files.flatMap((file) => {
    if (rank(file.path) < 0) return [`${file.path}: the room "${roomOf(file.path)}" is not in the order`];
    return file.files
      .filter((imported) => rank(imported) < 0 || rank(imported) > rank(file.path))
      .map((imported) => `${file.path} imports ${imported}`);
  });
}

function packageBreaches(
  files: readonly SourceFile[],
  allowed: readonly RegExp[],
  concerns: (specifier: string) => boolean,
): string[] {
  return files
    .filter((file) => !allowed.some((pattern) => pattern.test(file.path)))
    .flatMap((file) => file.packages.filter(concerns).map((specifier) => `${file.path} imports ${specifier}`));
}

const isOnnxRuntime = (specifier: string) => specifier.startsWith("onnxruntime");

describe("the rooms of src/", () => {
  const files = readSourceFiles();

  it("import only from rooms above them", () => {
    expect(roomBreaches(files)).toEqual([]);
  });

  it("have no import cycles between files", () => {
    expect(findCycle(files)?.join(" -> ")).toBeUndefined();
  });

  it("leave ONNX Runtime to runtime/", () => {
    expect(packageBreaches(files, mayUseOnnxRuntime, isOnnxRuntime)).toEqual([]);
  });

  it("leave Node.js to the rooms that never run in a browser", () => {
    expect(packageBreaches(files, mayUseNode, isNodeModule)).toEqual([]);
  });

  it("leave what a page imports without Node.js and without an engine of their own", () => {
    const loaded = loadedPackages("browser.ts");
    expect(loaded.filter((specifier) => isNodeModule(specifier) || isOnnxRuntime(specifier))).toEqual([]);
  });

  it("import files by names that exist, with their extension", () => {
    const known = new Set(files.map((file) => file.path));
    const missing = files.flatMap((file) =>
      file.files.filter((imported) => !known.has(imported)).map((imported) => `${file.path} imports ${imported}`),
    );
    expect(missing).toEqual([]);
  });
});

describe("the rules themselves", () => {
  it("see static, type-only, dynamic and re-exported imports", () => {
    const text = `
      import { a } from "../ir/a.ts";
      import type { B } from "./b.ts";
      export * from "../errors.ts";
      const c = await import("../cli/c.ts");
      import "onnxruntime-node";
    `;
    expect(parseImports("train/x.ts", text)).toEqual({
      path: "train/x.ts",
      files: ["ir/a.ts", "train/b.ts", "errors.ts", "cli/c.ts"],
      packages: ["onnxruntime-node"],
    });
  });

  it("notice a room that imports one below it, and a room that nobody knows", () => {
    const files = [
      parseImports("ir/a.ts", 'import "../cli/main.ts";'),
      parseImports("attic/b.ts", ""),
      parseImports("cli/main.ts", 'import "../ir/a.ts";'),
    ];
    expect(roomBreaches(files)).toEqual([
      "ir/a.ts imports cli/main.ts",
      'attic/b.ts: the room "attic" is not in the order',
    ]);
  });

  it("notice a cycle", () => {
    const files = [
      parseImports("ir/a.ts", 'import "./b.ts";'),
      parseImports("ir/b.ts", 'import type { C } from "./c.ts";'),
      parseImports("ir/c.ts", 'import "./a.ts";'),
    ];
    expect(findCycle(files)).toEqual(["ir/a.ts", "ir/b.ts", "ir/c.ts", "ir/a.ts"]);
  });

  it("notice Node.js modules with and without the prefix, and ONNX Runtime", () => {
    const files = [
      parseImports("ir/a.ts", 'import "node:fs"; import "path"; import "zod";'),
      parseImports("train/b.ts", 'import "onnxruntime-node"; import "node:fs";'),
    ];
    expect(packageBreaches(files, mayUseNode, isNodeModule)).toEqual([
      "ir/a.ts imports node:fs",
      "ir/a.ts imports path",
    ]);
    expect(packageBreaches(files, mayUseOnnxRuntime, isOnnxRuntime)).toEqual(["train/b.ts imports onnxruntime-node"]);
  });
});
