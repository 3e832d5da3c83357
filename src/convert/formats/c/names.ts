/** Names in C text. They come from models of strangers, who could otherwise write code into the program. */

/** Characters of a name that a comment keeps. */
const longestComment = 120;
/** Characters of a name that an identifier keeps: C99 tells identifiers apart by their first 63. */
const longestIdentifier = 40;

/** Letters, digits and marks of every script, the space, and printable ASCII without the backslash and the question mark. */
const harmless = /^[\p{L}\p{N}\p{M} !->@-[\]-~]$/u;

/**
 * Returns a comment of C with a name in it, and a line break.
 *
 * The name is unchanged where it is harmless. Every character that could end or open a comment, join two lines, be a part of
 * a trigraph, break a line or change the direction of writing becomes `<HEX>`, its code point; a long name is cut.
 *
 * @param note Trusted text after the name.
 * @example
 * comment("conv1", ": 4-bit weights"); // "/* conv1: 4-bit weights *\/\n"
 */
export function comment(name: string, note = ""): string {
  const characters = [...name];
  const written = characters.slice(0, longestComment).map((character, i) => {
    const isMark = character === "/" && (characters[i - 1] === "*" || characters[i + 1] === "*");
    return !isMark && harmless.test(character) ? character : `<${hexadecimal(character)}>`;
  });
  return `/* ${written.join("")}${characters.length > longestComment ? "..." : ""}${note} */\n`;
}

function hexadecimal(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
}

/**
 * Returns for each name, in order, a part of C identifiers: its ASCII letters, digits and underscores, with a number where
 * two would differ in nothing but case, or where it would be one of the words in `taken`.
 *
 * It may begin with a digit or be a word of C, so it needs a prefix.
 *
 * @example
 * identifierParts(["logits", "a.b", "a/b", "Input"], ["input"]); // ["logits", "a_b", "a_b_2", "Input_2"]
 */
export function identifierParts(names: readonly string[], taken: readonly string[] = []): string[] {
  const used = new Set(taken.map((word) => word.toUpperCase()));
  return names.map((name) => {
    const plain = name.replaceAll(/\W/g, "_").slice(0, longestIdentifier);
    let part = plain;
    for (let n = 2; used.has(part.toUpperCase()); n++) part = `${plain}_${n}`;
    used.add(part.toUpperCase());
    return part;
  });
}
