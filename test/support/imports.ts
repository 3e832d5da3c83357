/** Reads the imports of source files and finds cycles among them, for the tests that hold the house's order. */

import { readdirSync, readFileSync } from "node:fs";
import { join, posix, relative, sep } from "node:path";
import ts from "typescript";
import { repositoryRoot } from "./repository.ts";

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
  return withImports(path, specifiersIn(text));
}

/** Import specifiers as written in a file, sorted into files and packages. */
function withImports(path: string, specifiers: readonly string[]): SourceFile {
  const isRelative = (specifier: string) => specifier.startsWith(".");
  return {
    path,
    files: specifiers
      .filter(isRelative)
      .map((specifier) => posix.normalize(posix.join(posix.dirname(path), specifier))),
    packages: specifiers.filter((specifier) => !isRelative(specifier)),
  };
}

function specifiersIn(text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map((file) => file.fileName);
}

/** The module that a statement at the top of a file loads; types load nothing. */
function loadedByStatement(statement: ts.Statement): ts.Expression | undefined {
  if (ts.isImportDeclaration(statement)) {
    return statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword ? undefined : statement.moduleSpecifier;
  }
  return ts.isExportDeclaration(statement) && !statement.isTypeOnly ? statement.moduleSpecifier : undefined;
}

/** The modules that `await import()` names anywhere below a node. */
function importedLater(node: ts.Node): ts.Expression[] {
  const found: ts.Expression[] = [];
  const visit = (each: ts.Node): void => {
    if (ts.isCallExpression(each) && each.expression.kind === ts.SyntaxKind.ImportKeyword) {
      found.push(...each.arguments.slice(0, 1));
    }
    ts.forEachChild(each, visit);
  };
  visit(node);
  return found;
}

/** What a file loads when it is imported, and with `later` also what it loads by `await import()`; types load nothing. */
export function parseLoaded(path: string, text: string, { later = false } = {}): SourceFile {
  const { statements } = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022);
  const specifiers = statements.flatMap((statement) => [
    ...[loadedByStatement(statement) ?? []].flat(),
    ...(later && text.includes("import(") ? importedLater(statement) : []),
  ]);
  return withImports(
    path,
    specifiers.filter(ts.isStringLiteralLike).map((specifier) => specifier.text),
  );
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
    const imports = parseLoaded(file, readFileSync(join(repositoryRoot, "src", file), "utf8"));
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
