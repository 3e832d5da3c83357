/** Text from outside on a terminal: names in models and data files, keys, paths. */

/** Control characters, line separators, and what changes the direction of writing. */
const commanding = /[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu;

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\t": "\\t", "\r": "\\r" };

function escaped(character: string): string {
  const known = short[character];
  if (known !== undefined) return known;
  const code = character.codePointAt(0) ?? 0;
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/**
 * Returns text that gives a terminal no commands: the characters that would become `\xHH` or `\u{HEX}`, and tabs,
 * whose width only the terminal knows, `\t`. Line breaks stay.
 *
 * @example
 * printable("conv\u001b[2J"); // "conv\\x1b[2J"
 */
export function printable(text: string): string {
  return text.replaceAll(commanding, (character) => (character === "\n" ? character : escaped(character)));
}

/**
 * Returns text that stays on its line: as printable, and line breaks become `\n` too.
 *
 * @example
 * printableLine("conv\nerror: none"); // "conv\\nerror: none"
 */
export function printableLine(text: string): string {
  return text.replaceAll(commanding, escaped);
}

/** Returns the description of an error, which may take several lines, as one line. */
export function oneLine(description: string): string {
  return description.replaceAll(/\s*\n\s*/g, "; ");
}
