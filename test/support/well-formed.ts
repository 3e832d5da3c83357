/** A strict reader of XML 1.0, as far as a figure needs one: what it accepts, every reader accepts. */

const forbidden = /[^\t\n\r\x20-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u;
const entity = /^(?:amp|lt|gt|quot|apos|#\d+|#x[\da-fA-F]+);/;
const tag = /^<(?:(\/)([\w:-]+)\s*>|([\w:-]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>)/;

/** The names of a document's elements in their order. @throws Error saying where it is not well-formed. */
export function elementsOf(xml: string): string[] {
  if (forbidden.test(xml)) throw new Error("a character that XML forbids");
  const open: string[] = [];
  const found: string[] = [];
  let rest = xml.replace(/^<\?xml[^>]*\?>\s*/, "");
  for (const match of rest.matchAll(/&/g)) {
    const after = rest.slice(match.index + 1, match.index + 12);
    if (!entity.test(after)) throw new Error(`no entity: &${after}`);
  }
  while (rest.trim() !== "") {
    const start = rest.indexOf("<");
    const text = start < 0 ? rest : rest.slice(0, start);
    if (text.includes("]]>") || (text.trim() !== "" && open.length === 0)) throw new Error(`text ${text.slice(0, 20)}`);
    rest = rest.slice(text.length);
    if (rest === "") break;
    const [whole = "", closing, closed, opened, attributes = "", single] = tag.exec(rest) ?? [];
    if (whole === "") throw new Error(`no element: ${rest.slice(0, 60)}`);
    rest = rest.slice(whole.length);
    if (closing !== undefined) {
      if (open.pop() !== closed) throw new Error(`</${closed}> closes nothing`);
      continue;
    }
    const names = [...attributes.matchAll(/([\w:-]+)="/g)].map(([, name]) => name);
    if (new Set(names).size < names.length) throw new Error(`an attribute of ${opened} occurs twice`);
    found.push(opened ?? "");
    if (single === "") open.push(opened ?? "");
  }
  if (open.length > 0) throw new Error(`${open.at(-1)} is not closed`);
  return found;
}
