/**
 * The little of a browser's document that Observable Plot needs to draw: elements with attributes and children, and a
 * way to write them out. Nothing is laid out, selected or listened to.
 *
 * After the document of Plot's own documentation (docs/components/PlotRender.js).
 *
 * By hand: a package that has the whole document of a browser is large for a dozen methods.
 */

const svgNamespace = "http://www.w3.org/2000/svg";

/** A document that Plot can make elements in. */
export class SvgDocument {
  readonly documentElement: SvgElement;

  constructor() {
    this.documentElement = new SvgElement(this, "html", "http://www.w3.org/1999/xhtml");
  }

  createElementNS(namespace: string, name: string): SvgElement {
    return new SvgElement(this, name, namespace);
  }

  createElement(name: string): SvgElement {
    return new SvgElement(this, name, this.documentElement.namespaceURI);
  }

  createTextNode(value: unknown): SvgText {
    return new SvgText(this, String(value));
  }

  querySelector(): null {
    return null;
  }

  querySelectorAll(): [] {
    return [];
  }
}

/** A piece of text. */
export class SvgText {
  readonly ownerDocument: SvgDocument;
  readonly nodeValue: string;
  parentNode: SvgElement | null = null;

  constructor(ownerDocument: SvgDocument, value: string) {
    this.ownerDocument = ownerDocument;
    this.nodeValue = value;
  }

  toString(): string {
    return escapeText(this.nodeValue);
  }
}

/** Inline style that Plot sets property by property. */
class SvgStyle {
  readonly properties = new Map<string, string>();

  setProperty(name: string, value: unknown): void {
    this.properties.set(name, String(value));
  }

  removeProperty(name: string): void {
    this.properties.delete(name);
  }
}

/** An element, of SVG or of HTML. */
export class SvgElement {
  readonly ownerDocument: SvgDocument;
  readonly tagName: string;
  readonly namespaceURI: string;
  readonly attributes = new Map<string, string>();
  readonly childNodes: (SvgElement | SvgText)[] = [];
  readonly #style = new SvgStyle();
  parentNode: SvgElement | null = null;

  constructor(ownerDocument: SvgDocument, tagName: string, namespace: string) {
    this.ownerDocument = ownerDocument;
    this.tagName = tagName;
    this.namespaceURI = namespace;
  }

  get style(): SvgStyle {
    return this.#style;
  }

  set style(text: unknown) {
    this.attributes.set("style", String(text));
  }

  get children(): SvgElement[] {
    return this.childNodes.filter((child) => child instanceof SvgElement);
  }

  get firstChild(): SvgElement | SvgText | null {
    return this.childNodes[0] ?? null;
  }

  get textContent(): string {
    return this.childNodes.map((child) => (child instanceof SvgText ? child.nodeValue : child.textContent)).join("");
  }

  set textContent(value: unknown) {
    this.childNodes.splice(0, this.childNodes.length, this.ownerDocument.createTextNode(value));
  }

  setAttribute(name: string, value: unknown): void {
    this.attributes.set(name, String(value));
  }

  setAttributeNS(_namespace: string | null, name: string, value: unknown): void {
    this.attributes.set(name, String(value));
  }

  getAttribute(name: string): string | null {
    return this.attributes.get(name) ?? null;
  }

  getAttributeNS(_namespace: string | null, name: string): string | null {
    return this.getAttribute(name);
  }

  hasAttribute(name: string): boolean {
    return this.attributes.has(name);
  }

  hasAttributeNS(_namespace: string | null, name: string): boolean {
    return this.hasAttribute(name);
  }

  removeAttribute(name: string): void {
    this.attributes.delete(name);
  }

  removeAttributeNS(_namespace: string | null, name: string): void {
    this.removeAttribute(name);
  }

  addEventListener(): void {}

  removeEventListener(): void {}

  dispatchEvent(): boolean {
    return true;
  }

  append(...children: unknown[]): void {
    for (const child of children) {
      const isNode = child instanceof SvgElement || child instanceof SvgText;
      this.appendChild(isNode ? child : this.ownerDocument.createTextNode(child));
    }
  }

  appendChild<Child extends SvgElement | SvgText>(child: Child): Child {
    return this.insertBefore(child, null);
  }

  insertBefore<Child extends SvgElement | SvgText>(child: Child, next: SvgElement | SvgText | null): Child {
    child.parentNode?.removeChild(child);
    const at = next === null ? -1 : this.childNodes.indexOf(next);
    this.childNodes.splice(at < 0 ? this.childNodes.length : at, 0, child);
    child.parentNode = this;
    return child;
  }

  removeChild<Child extends SvgElement | SvgText>(child: Child): Child {
    const at = this.childNodes.indexOf(child);
    if (at >= 0) this.childNodes.splice(at, 1);
    child.parentNode = null;
    return child;
  }

  querySelector(): null {
    return null;
  }

  querySelectorAll(): [] {
    return [];
  }

  /** The element as text. */
  toString(): string {
    const isRoot = this.tagName === "svg" && this.parentNode?.namespaceURI !== svgNamespace;
    const given = new Map(this.attributes);
    if (isRoot) given.set("xmlns", svgNamespace);
    const style = [...this.#style.properties].map(([name, value]) => `${name}: ${value};`).join(" ");
    if (style !== "") given.set("style", [given.get("style") ?? "", style].join(" ").trim());
    const attributes = [...given].map(([name, value]) => ` ${name}="${escapeText(value)}"`).join("");
    const content = this.childNodes.map(String).join("");
    return content === "" && this.namespaceURI === svgNamespace
      ? `<${this.tagName}${attributes}/>`
      : `<${this.tagName}${attributes}>${content}</${this.tagName}>`;
  }
}

/** Characters that XML 1.0 forbids, also as references: control characters, lone surrogates, U+FFFE and U+FFFF. */
const forbidden = /[^\t\n\r\x20-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu;

/** Returns text as it stands in XML and HTML, in elements and in quoted attributes. What XML forbids becomes U+FFFD. */
export function escapeText(text: string): string {
  const allowed = text.replaceAll(forbidden, "\uFFFD");
  return allowed.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
