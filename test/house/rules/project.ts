/** The project's own files as the rules read them: every file of src/ parsed and typed once, tests and texts as they are. */

import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import ts from "typescript";
import { repositoryRoot } from "../../support/repository.ts";

/** A parsed file with its path inside the repository, `src/ir/tensor.ts`. */
export interface ParsedFile {
  readonly path: string;
  readonly tree: ts.SourceFile;
}

/** The files of src/ with the types of their expressions. */
export interface Project {
  readonly files: readonly ParsedFile[];
  readonly program: ts.Program;
  readonly checker: ts.TypeChecker;
}

/** A place that breaks a rule, or that an allow-list counts. `key` is the line of the allow-list that it belongs to. */
export interface Breach {
  readonly key: string;
  /** Where it is and what stands there, for people. */
  readonly text: string;
}

/** The compiler options of tsconfig.json. */
export function compilerOptions(): ts.CompilerOptions {
  const file = join(repositoryRoot, "tsconfig.json");
  const { config } = ts.readConfigFile(file, ts.sys.readFile);
  return ts.parseJsonConfigFileContent(config, ts.sys, repositoryRoot).options;
}

/** Every file below a folder of the repository, by its path inside the repository, sorted. */
export function listFiles(folder: string): string[] {
  return readdirSync(join(repositoryRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(repositoryRoot, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

/** The text of a file of the repository. */
export function readText(path: string): string {
  return readFileSync(join(repositoryRoot, path), "utf8");
}

/** Parses and binds every file of src/. Types are worked out only where a rule asks for them. */
export function openProject(): Project {
  const paths = listFiles("src").filter((path) => path.endsWith(".ts"));
  const program = ts.createProgram(
    paths.map((path) => join(repositoryRoot, path)),
    compilerOptions(),
  );
  const files = paths.flatMap((path) => {
    const tree = program.getSourceFile(join(repositoryRoot, path));
    return tree === undefined ? [] : [{ path, tree }];
  });
  return { files, program, checker: program.getTypeChecker() };
}

/** Parses one text, for rules that need no types. */
export function parseText(path: string, text: string): ParsedFile {
  return { path, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true) };
}

/** Every node below a node, itself included, in the order of the text. */
export function* descendants(node: ts.Node): Generator<ts.Node> {
  yield node;
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => {
    children.push(child);
  });
  for (const child of children) yield* descendants(child);
}

/** A breach at a node: its path, line and text. */
export function breachAt(file: ParsedFile, node: ts.Node): Breach {
  const line = file.tree.getLineAndCharacterOfPosition(node.getStart(file.tree)).line + 1;
  const text = node.getText(file.tree).replaceAll(/\s+/g, " ").slice(0, 100);
  return { key: file.path, text: `${file.path}:${line}: ${text}` };
}

/** The room of a file of src/: its first folder, or its own name at the top. */
export function roomOf(path: string): string {
  return (path.split("/")[1] ?? path).replace(/\.ts$/, "");
}

/** Items by what they have in common, in the order of their first. */
export function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
