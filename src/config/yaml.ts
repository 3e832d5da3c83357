/** Values as YAML that stays the same wherever it is copied. */
import { Document, visit } from "yaml";

/** Characters that YAML lets stand and that HTML and XML cannot hold. */
const unsafe = /[\ufffe\uffff]/g;

/**
 * Writes a value as YAML, one line for each text; characters that a page cannot hold are escaped.
 *
 * @example
 * console.log(yamlText({ seed: 0 })); // "seed: 0\n"
 */
export function yamlText(value: unknown): string {
  const document = new Document(value);
  visit(document, {
    Scalar: (_, node) => {
      if (typeof node.value === "string" && node.value.search(unsafe) >= 0) node.type = "QUOTE_DOUBLE";
    },
  });
  const text = document.toString({ lineWidth: 120, blockQuote: false });
  return text.replaceAll(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
