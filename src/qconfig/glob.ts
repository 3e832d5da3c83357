/** Globs over dotted names: `*` is any text without a dot or a slash, `**` any text, `?` one such character. */

const special = /[.+^${}()|[\]\\]/g;

/** Whether a name is the one that a glob stands for: `matchesGlob("layer1.*.conv?", "layer1.0.conv2")`. */
export function matchesGlob(glob: string, name: string): boolean {
  const pattern = glob
    .split(/(\*\*|\*|\?)/)
    .map((part) => {
      if (part === "**") return ".*";
      if (part === "*") return "[^./]*";
      if (part === "?") return "[^./]";
      return part.replaceAll(special, "\\$&");
    })
    .join("");
  return new RegExp(`^${pattern}$`, "s").test(name);
}
