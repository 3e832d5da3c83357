/**
 * A configuration as it was written: YAML (JSON is a part of YAML, so one parser reads both) with overrides laid over it,
 * and the positions that errors name. What its keys mean is the schemas' affair.
 */
import { type Document, isMap, isNode, isScalar, Lexer, LineCounter, parseDocument } from "yaml";
import { defined } from "../base/defined.ts";
import { ConfigError } from "../errors.ts";
import type { Locate } from "./issues.ts";
import { isMapping, type Mapping } from "./mapping.ts";

export { isMapping, type Mapping } from "./mapping.ts";

/** The most bytes of a text that people write: a configuration, or Python. */
export const mostTextBytes = 2 ** 20;

/** A configuration's text and the name that errors call it by. */
export interface ConfigSource {
  readonly name: string;
  readonly text: string;
  /** Makes the relative paths in the text absolute; absent: they stay as they are. */
  readonly resolvePath?: (given: string) => string;
  /** Written by a run or a study, with every key of its version: a key that came later has the meaning of that version. */
  readonly isKept?: true;
}

/** One value that overrides the source, and its origin (`--epochs 3`). */
export interface ConfigOverride {
  /** Dotted: `train.optimizer.learningRate`. */
  readonly path: string;
  readonly value: unknown;
  readonly origin: string;
}

/** A source that was parsed. */
export interface ParsedSource {
  /** Its keys; of its own for each call, so that overrides can be laid over it. */
  readonly root: Mapping;
  /** Finds where a key was written: in an override that covers it, else in the source at the nearest key that is there. */
  readonly locate: (overrides: readonly ConfigOverride[]) => Locate;
}

interface ParsedText {
  readonly document: Document;
  readonly lines: LineCounter;
}

/** Parsed texts by source: its plugins are read before it is resolved, because they bring presets. */
const parsedTexts = new WeakMap<ConfigSource, ParsedText>();

/** Parses a source's text, once for each source. */
function parsedText(source: ConfigSource): ParsedText {
  const known = parsedTexts.get(source);
  if (known !== undefined) return known;
  const lines = new LineCounter();
  if (source.text.length > mostTextBytes) {
    throw new ConfigError(`a configuration holds at most ${mostTextBytes} characters`, { where: source.name });
  }
  const parsed = { document: documentOf(source.text, source.name, lines), lines };
  parsedTexts.set(source, parsed);
  return parsed;
}

/** Parses YAML. @throws ConfigError for values that are nested deeper than the parser can follow. */
function documentOf(text: string, where: string, lineCounter?: LineCounter): Document {
  if (isDeep(text)) {
    throw new ConfigError("the values are nested too deep", {
      where,
      remedy: `Values may lie ${deepestNesting} deep: check the brackets and the indentation.`,
    });
  }
  return parseDocument(text, { prettyErrors: true, ...defined({ lineCounter }) });
}

/** The deepest nesting of brackets, of signs of lists on one line, and of columns of indentation. */
const deepestNesting = 100;

/** The parser calls itself for each level, and a call stack that ends within a regular expression ends the process. */
function isDeep(text: string): boolean {
  const isIndented = text.split("\n").some((line) => {
    const lead = /^[\s?:-]*/.exec(line)?.[0] ?? "";
    return lead.length > 2 * deepestNesting;
  });
  if (isIndented) return true;
  let depth = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === "[" || token === "{") depth++;
    else if (token === "]" || token === "}") depth--;
    if (depth > deepestNesting) return true;
  }
  return false;
}

/** Parses a configuration. @throws ConfigError for text that is not YAML, or not a mapping of keys. */
export function parseSource(source: ConfigSource): ParsedSource {
  const { document, lines } = parsedText(source);
  const problem = document.errors[0];
  if (problem !== undefined) {
    const at = problem.linePos?.[0];
    const where = at === undefined ? source.name : `${source.name}:${at.line}:${at.col}`;
    throw new ConfigError(firstLine(problem.message), { where, remedy: "Write the configuration as YAML or JSON." });
  }
  const root = mappingOf(document, source.name);
  return { root, locate: (overrides) => locator(document, lines, source.name, overrides) };
}

/** Parses the text of a flag as a YAML value: `3` is a number, `true` a boolean, a text that is not YAML stays itself. */
export function parseScalar(text: string): unknown {
  const document = documentOf(text, text);
  if (document.errors.length > 0) return text;
  try {
    return document.toJS();
  } catch {
    // An alias without an anchor: a name with a star.
    return text;
  }
}

/** Reads `train.epochs=3`; the value is a YAML scalar or flow list, so `true`, `1e-3`, `[3, 5]` and `null` mean what they look like. */
export function parseSetOption(text: string): ConfigOverride {
  const origin = `--set ${text}`;
  const cut = text.indexOf("=");
  const path = text.slice(0, Math.max(cut, 0)).trim();
  if (path === "") {
    throw new ConfigError("expected key=value", { where: origin, remedy: "Write for example --set train.epochs=3." });
  }
  const document = documentOf(text.slice(cut + 1), origin);
  const problem = document.errors[0];
  if (problem !== undefined) throw new ConfigError(firstLine(problem.message), { where: origin });
  return { path, value: contentOf(document, origin), origin };
}

/** Sets a dotted key; mappings on its path that are not there, or null, are made. */
export function setPath(root: Mapping, path: string, value: unknown): void {
  const { parent, key } = openPath(root, path);
  parent[key] = value;
}

/** Takes back what a source says of a dotted key. */
export function deletePath(root: Mapping, path: string): void {
  const { parent, key } = openPath(root, path);
  delete parent[key];
}

function openPath(root: Mapping, path: string): { readonly parent: Mapping; readonly key: string } {
  const keys = path.split(".");
  const key = keys.pop() ?? "";
  let parent = root;
  for (const name of keys) {
    const child = parent[name];
    const next = isMapping(child) ? child : {};
    parent[name] = next;
    parent = next;
  }
  return { parent, key };
}

function firstLine(text: string): string {
  return text.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? text;
}

/** The value of a document. @throws ConfigError for an alias without its anchor, or too many of them. */
function contentOf(document: Document, where: string): unknown {
  try {
    const value: unknown = document.toJS();
    return value;
  } catch (cause) {
    throw new ConfigError("the YAML aliases cannot be resolved", {
      where,
      remedy: "Define each anchor (&name) before its alias (*name), or write the value out.",
      cause,
    });
  }
}

function mappingOf(document: Document, name: string): Mapping {
  const content = contentOf(document, name);
  if (content === null || content === undefined) return {};
  if (isMapping(content)) return content;
  throw new ConfigError("expected a mapping of keys", { where: `${name}:1:1`, remedy: "Write for example `seed: 0`." });
}

function locator(document: Document, lines: LineCounter, name: string, overrides: readonly ConfigOverride[]): Locate {
  return (path, part) => {
    const dotted = path.map(String).join(".");
    const override = overrides.findLast(({ path: set }) => dotted === set || dotted.startsWith(`${set}.`));
    if (override !== undefined) return override.origin;
    for (let depth = path.length; depth > 0; depth--) {
      const offset = offsetOf(document, path.slice(0, depth), depth === path.length ? part : "key");
      if (offset === undefined) continue;
      const { line, col } = lines.linePos(offset);
      return `${name}:${line}:${col}`;
    }
    return name;
  };
}

/** Where the key or the value at a path begins, in characters; an item of a list has only a value. */
function offsetOf(document: Document, path: readonly PropertyKey[], part: "key" | "value"): number | undefined {
  const parent = document.getIn(path.slice(0, -1), true);
  const pair = isMap(parent) ? parent.items.find(({ key }) => isScalar(key) && key.value === path.at(-1)) : undefined;
  const node = pair === undefined ? document.getIn(path, true) : part === "value" ? (pair.value ?? pair.key) : pair.key;
  return isNode(node) ? node.range?.[0] : undefined;
}
