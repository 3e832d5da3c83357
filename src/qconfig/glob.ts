/**
 * Globs over dotted names: `*` is any text without a dot or a slash, `**` any text, `?` one such character, and `{3,4}` one
 * of the texts between the commas.
 */

const special = /[.+^${}()|[\]\\]/g;
const parts = /(\*\*|\*|\?|\{[^{}]*,[^{}]*\})/;

/** Whether a name is the one that a glob stands for: `matchesGlob("layer{1,2}.*.conv?", "layer1.0.conv2")`. */
export function matchesGlob(glob: string, name: string): boolean {
  return glob === name || new RegExp(`^${patternOf(glob)}$`, "s").test(name);
}

function patternOf(glob: string): string {
  return glob.split(parts).map(patternOfPart).join("");
}

function patternOfPart(part: string): string {
  if (part === "**") return ".*";
  if (part === "*") return "[^./]*";
  if (part === "?") return "[^./]";
  if (parts.test(part)) return `(?:${part.slice(1, -1).split(",").map(patternOf).join("|")})`;
  return part.replaceAll(special, "\\$&");
}
