/** What files export: one definition for each concept, and a doc comment on each. */

import ts from "typescript";
import { type Breach, breachAt, groupBy, type ParsedFile, roomOf } from "./project.ts";

/** An exported declaration, and the node that its doc comment stands on. */
export interface Exported {
  readonly file: ParsedFile;
  readonly name: string;
  readonly node: ts.Node;
}

function isExported(statement: ts.Statement): boolean {
  return (
    ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement) ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)
  );
}

function namesOf(pattern: ts.BindingName): string[] {
  if (ts.isIdentifier(pattern)) return [pattern.text];
  return pattern.elements.flatMap((element) => (ts.isBindingElement(element) ? namesOf(element.name) : []));
}

function declaredNames(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap((declaration) => namesOf(declaration.name));
  }
  const isNamed =
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) ||
    ts.isEnumDeclaration(statement);
  return isNamed && statement.name !== undefined ? [statement.name.text] : [];
}

/** The exported declarations of a file; the overloads of a function are one. */
export function exportedDeclarations(file: ParsedFile): Exported[] {
  const seen = new Set<string>();
  return file.tree.statements.filter(isExported).flatMap((node) =>
    declaredNames(node).flatMap((name) => {
      const key = `${name} ${ts.isFunctionDeclaration(node) ? "" : node.kind}`;
      if (seen.has(key)) return [];
      seen.add(key);
      return [{ file, name, node }];
    }),
  );
}

/** The text of a doc comment; undefined where there is none. */
export function hasDocComment(node: ts.Node): boolean {
  return ts.getJSDocCommentsAndTags(node).some((comment) => ts.isJSDoc(comment) && comment.getText().length > 8);
}

/** Exported declarations without a doc comment. */
export function undocumented(files: readonly ParsedFile[]): Breach[] {
  return files
    .flatMap(exportedDeclarations)
    .filter(({ node }) => !hasDocComment(node))
    .map(({ file, name, node }) => {
      const { text } = breachAt(file, node);
      return { key: file.path, text: `${name}: ${text}` };
    });
}

/** Names that are exported in more than one room: one breach for each room beyond the first. */
export function repeatedNames(files: readonly ParsedFile[]): Breach[] {
  const byName = groupBy(files.flatMap(exportedDeclarations), ({ name }) => name);
  return [...byName].flatMap(([key, declarations]) => {
    const rooms = new Map(declarations.map((declaration) => [roomOf(declaration.file.path), declaration]));
    return [...rooms.values()].slice(1).map(() => ({
      key,
      text: [...rooms.values()].map((declaration) => declaration.file.path).join(" and "),
    }));
  });
}
