/** Reads the imports of source files and finds cycles among them, for the tests that hold the house's order. */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** The folder that package.json lies in. */
export const repositoryRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** A source file by its path inside `src/` (`ir/tensor.ts`), with what it imports. */
export interface SourceFile {
  readonly path: string;
  /** Imports of other files, as paths inside `src/`. */
  readonly files: readonly string[];
  /** Imports of packages and of Node.js modules, as written. */
  readonly packages: readonly string[];
}

/** The imports of one file: static, dynamic, re-exported and type-only ones alike. */
export function parseImports(path: string, text: string): SourceFile {
  const specifiers = ts.preProcessFile(text, true, true).importedFiles.map((file) => file.fileName);
  const isRelative = (specifier: string) => specifier.startsWith(".");
  return {
    path,
    files: specifiers
      .filter(isRelative)
      .map((specifier) => posix.normalize(posix.join(posix.dirname(path), specifier))),
    packages: specifiers.filter((specifier) => !isRelative(specifier)),
  };
}

/** Every TypeScript file under `src/`. */
export function readSourceFiles(): SourceFile[] {
  const folder = join(repositoryRoot, "src");
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => parseImports(relative(folder, file).split(sep).join("/"), readFileSync(file, "utf8")));
}

/** What is loaded from packages when a file of `src/` is imported: types and `await import()` load nothing by then. */
export function loadedPackages(path: string): string[] {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(join(repositoryRoot, "src", file), "utf8");
    const { outputText } = ts.transpileModule(text, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
    });
    const imports = parseImports(file, outputText.replaceAll(/\bimport\([^)]*\)/g, ""));
    for (const name of imports.packages) packages.add(name);
    for (const imported of imports.files) visit(imported);
  };
  visit(path);
  return [...packages].sort();
}

/** The first cycle found among the files' imports, as the paths along it, or undefined. */
export function findCycle(files: readonly SourceFile[]): string[] | undefined {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const finished = new Set<string>();
  const trail: string[] = [];

  const visit = (path: string): string[] | undefined => {
    const start = trail.indexOf(path);
    if (start >= 0) return [...trail.slice(start), path];
    if (finished.has(path)) return undefined;
    trail.push(path);
    for (const imported of byPath.get(path)?.files ?? []) {
      const cycle = visit(imported);
      if (cycle !== undefined) return cycle;
    }
    trail.pop();
    finished.add(path);
    return undefined;
  };

  for (const file of files) {
    const cycle = visit(file.path);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
