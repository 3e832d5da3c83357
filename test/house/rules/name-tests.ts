/** Tests on the names of nodes, values, sites and states: identity that travels as text. */

import ts from "typescript";
import { type Breach, breachAt, descendants, type ParsedFile, type Project } from "./project.ts";

/** Methods of strings that look into a name. */
const stringTests: ReadonlySet<string> = new Set([
  "startsWith",
  "endsWith",
  "includes",
  "indexOf",
  "lastIndexOf",
  "match",
  "matchAll",
  "replace",
  "replaceAll",
  "search",
  "slice",
  "split",
  "substring",
]);

/** Methods of regular expressions that take the name as their argument. */
const patternTests: ReadonlySet<string> = new Set(["test", "exec"]);

/** Types whose `name` or `layer` is a name for people. */
const namedTypes: ReadonlySet<string> = new Set([
  "ExplainedSite",
  "GraphOutput",
  "IntegerLayer",
  "IntegerTensor",
  "Node",
  "ObserverState",
  "OperatorCall",
  "Parameter",
  "QuantizerParameter",
  "QuantizerSite",
  "SiteFacts",
  "StateTensor",
  "Value",
]);

/** Identifiers and properties that say of themselves that they hold such a name. */
const sayingName = /^(node|value|site|state|parameter|weight|layer|input|output)Names?$/;

/** What only names of parameters and quantizers end with. */
const partOfName = /\.(quantizer|weight|bias|input|output|skip)\b/;

/** Properties that hold such names, in some types. Of others, the compiler need not work out types. */
const nameProperties: ReadonlySet<string> = new Set(["name", "layer"]);

/** Whether a property of this declaration is the name of a node, value, site or state. */
function isNameProperty(property: ts.Symbol | undefined): boolean {
  if (property === undefined || !nameProperties.has(property.name)) return false;
  return (property.declarations ?? []).some(
    ({ parent }) =>
      (ts.isInterfaceDeclaration(parent) || ts.isTypeAliasDeclaration(parent)) && namedTypes.has(parent.name.text),
  );
}

/** Whether an expression is such a name, or a variable that was set to one. */
function isName(checker: ts.TypeChecker, expression: ts.Expression): boolean {
  if (ts.isParenthesizedExpression(expression)) return isName(checker, expression.expression);
  if (ts.isPropertyAccessExpression(expression)) {
    const { text } = expression.name;
    if (sayingName.test(text)) return true;
    return nameProperties.has(text) && isNameProperty(checker.getSymbolAtLocation(expression.name));
  }
  if (!ts.isIdentifier(expression)) return false;
  if (sayingName.test(expression.text)) return true;
  const declaration = checker.getSymbolAtLocation(expression)?.valueDeclaration;
  if (declaration === undefined) return false;
  if (ts.isVariableDeclaration(declaration) && declaration.initializer !== undefined) {
    return ts.isPropertyAccessExpression(declaration.initializer) && isName(checker, declaration.initializer);
  }
  if (!ts.isBindingElement(declaration) || !ts.isObjectBindingPattern(declaration.parent)) return false;
  const property = declaration.propertyName ?? declaration.name;
  if (!ts.isIdentifier(property) || !nameProperties.has(property.text)) return false;
  return isNameProperty(checker.getTypeAtLocation(declaration.parent).getProperty(property.text));
}

/** Whether a call searches a text for what only such names contain: `name.replace(/\.quantizer$/, "")`. */
function searchesForPart(call: ts.CallExpression): boolean {
  const [searched] = call.arguments;
  if (searched === undefined) return false;
  if (ts.isStringLiteralLike(searched)) return partOfName.test(searched.text);
  return ts.isRegularExpressionLiteral(searched) && partOfName.test(searched.text.replaceAll("\\", ""));
}

function testedName(call: ts.CallExpression): ts.Expression | undefined {
  if (!ts.isPropertyAccessExpression(call.expression)) return undefined;
  const method = call.expression.name.text;
  if (stringTests.has(method)) return call.expression.expression;
  return patternTests.has(method) ? call.arguments[0] : undefined;
}

/** Every call that looks into such a name. */
export function nameTests({ files, checker }: Pick<Project, "files" | "checker">): Breach[] {
  const isTest = (node: ts.Node): boolean => {
    if (!ts.isCallExpression(node)) return false;
    const name = testedName(node);
    return name !== undefined && (searchesForPart(node) || isName(checker, name));
  };
  return files.flatMap((file: ParsedFile) =>
    [...descendants(file.tree)].filter(isTest).map((node) => breachAt(file, node)),
  );
}
