/** Helpers over the parser's concrete tree, which `@lezer/python` makes. */
import type { SyntaxNode } from "@lezer/common";
import { parser } from "@lezer/python";
import { ConfigError } from "../../../../errors.ts";
import { type At, notUnderstood, type PlainText, plainText, type TorchSource } from "../source.ts";
import { checkBounds, deepestNesting } from "./bounds.ts";

const longestText = 2 ** 22;

/** A source with its concrete tree. */
export class PythonTree {
  readonly source: TorchSource;
  readonly root: SyntaxNode;
  readonly #plain: PlainText;
  #depth = 0;

  constructor(source: TorchSource) {
    if (source.text.length > longestText) {
      throw new ConfigError(`it has ${source.text.length} characters, which is too long for a script`, {
        where: source.name,
        remedy: "Paste only the lines that make the QConfig.",
      });
    }
    this.source = source;
    this.#plain = plainText(source.text);
    checkBounds(source, this.#plain);
    this.root = parser.parse(this.#plain.parsed).topNode;
  }

  text(node: Pick<SyntaxNode, "from" | "to">): string {
    return this.#plain.text.slice(node.from, node.to);
  }

  at(node: Pick<SyntaxNode, "from" | "to">): At {
    return { ...this.#plain.position(node.from), text: this.text(node) };
  }

  /** The first line of a node. */
  lineAt(node: Pick<SyntaxNode, "from" | "to">): At {
    const end = this.#plain.text.indexOf("\n", node.from);
    return this.at({ from: node.from, to: end < 0 ? node.to : Math.min(end, node.to) });
  }

  /** The first token at or after an offset, as errors show it. */
  tokenAt(offset: number): At {
    const rest = this.#plain.text.slice(offset);
    const skipped = /^(?:[ \t]|\\\n|#[^\n]*)*/.exec(rest)?.[0].length ?? 0;
    const token = /^(?:\w+|\n|[^\w\s])/.exec(rest.slice(skipped))?.[0] ?? "";
    return { ...this.#plain.position(offset + skipped), text: token };
  }

  error(at: At, reason: string, remedy?: string): ConfigError {
    return notUnderstood(this.source, at, reason, remedy);
  }

  /** Reads what is within a node, unless it is nested too deeply. */
  within<T>(node: SyntaxNode, read: () => T): T {
    if (++this.#depth > deepestNesting) {
      throw this.error({ ...this.at(node), text: this.text(node).slice(0, 1) }, "it is nested too deeply");
    }
    try {
      return read();
    } finally {
      this.#depth--;
    }
  }
}

/** The children of a node, without comments. */
export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.name !== "Comment") children.push(child);
  }
  return children;
}

/** The first fault of the syntax within a node. */
export function faultIn(node: SyntaxNode): SyntaxNode | undefined {
  let fault: SyntaxNode | undefined;
  node.cursor().iterate((inner) => {
    if (inner.type.isError) fault ??= inner.node;
    return fault === undefined;
  });
  return fault;
}

/** Children between commas. */
export function separated(children: readonly SyntaxNode[], separator = ","): SyntaxNode[][] {
  const groups: SyntaxNode[][] = [[]];
  for (const child of children) {
    if (child.name === separator) groups.push([]);
    else groups.at(-1)?.push(child);
  }
  return groups.filter((group) => group.length > 0);
}
