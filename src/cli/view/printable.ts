/** Text from outside on a terminal: names in models and data files, keys, paths. */

/** Control characters but the line break and the tab, line separators, and what changes the direction of writing. */
const commanding = /[^\P{Cc}\n\t]|[\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu;

/**
 * Returns text that gives a terminal no commands: the characters that would become `\xHH` or `\u{HEX}`.
 *
 * @example
 * printable("conv\u001b[2J"); // "conv\\x1b[2J"
 */
export function printable(text: string): string {
  return text.replaceAll(commanding, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}
