/** Names of operators, quantizers and observers as literals: knowledge that belongs into the record of that name. */

import ts from "typescript";
import { operators } from "../../../src/compile/registry.ts";
import { observers } from "../../../src/observers/index.ts";
import { quantizers } from "../../../src/quantizers/index.ts";
import { type Breach, breachAt, descendants, type ParsedFile } from "./project.ts";

const operatorNames: ReadonlySet<string> = new Set([...operators.values()].map((definition) => definition.op));
const recordNames: ReadonlySet<string> = new Set([...operatorNames, ...quantizers.keys(), ...observers.keys()]);

/** Where names are at home: records, the file format, recipes of torch and of papers, models, shapes of other exporters. */
const home =
  /^src\/(ops|onnx|quantizers|observers|models|qconfig\/torch|importer\/rewrite|importer\/patterns)\/|^src\/qconfig\/presets\.ts$/;

function isAtHome(file: ParsedFile): boolean {
  return home.test(file.path);
}

/** Whether a literal names the node that `builder.node("Conv", …)` or `builder.one("Conv", …)` makes. */
function makesNode(literal: ts.Node): boolean {
  const call = literal.parent;
  return (
    ts.isCallExpression(call) &&
    call.arguments[0] === literal &&
    ts.isPropertyAccessExpression(call.expression) &&
    (call.expression.name.text === "node" || call.expression.name.text === "one")
  );
}

/** Whether a node is a record's name as a literal, or an operator's as the key of an object. */
function isRecordName(node: ts.Node): boolean {
  if (ts.isStringLiteralLike(node)) return recordNames.has(node.text) && !makesNode(node);
  if (!ts.isIdentifier(node) || !operatorNames.has(node.text)) return false;
  const isEntry = ts.isPropertyAssignment(node.parent) || ts.isMethodDeclaration(node.parent);
  return isEntry && node.parent.name === node;
}

/** Every literal that names an operator, a quantizer or an observer, except where these are at home. */
export function recordNameLiterals(files: readonly ParsedFile[]): Breach[] {
  return files
    .filter((file) => !isAtHome(file))
    .flatMap((file) =>
      [...descendants(file.tree)].filter(isRecordName).map((node) => breachAt(file, literalContext(node))),
    );
}

function literalContext(node: ts.Node): ts.Node {
  return ts.isIdentifier(node) ? node.parent : node;
}

/** Every list, set or table of at least two such names, except where they are at home: a trait that no record has. */
export function recordNameSets(files: readonly ParsedFile[]): Breach[] {
  const isSet = (node: ts.Node): boolean => {
    if (ts.isArrayLiteralExpression(node)) return node.elements.filter(isRecordName).length >= 2;
    if (!ts.isObjectLiteralExpression(node)) return false;
    return (
      node.properties.filter(
        (property) => property.name !== undefined && ts.isIdentifier(property.name) && isRecordName(property.name),
      ).length >= 2
    );
  };
  return files
    .filter((file) => !isAtHome(file))
    .flatMap((file) => [...descendants(file.tree)].filter(isSet).map((node) => breachAt(file, node)));
}
