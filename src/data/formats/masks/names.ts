/** The names of the classes of masks, and the colours that stand for them: classes.txt. */
import { join } from "node:path";
import { FileFormatError } from "../../../errors.ts";
import { readNames } from "../../../io/read-bytes.ts";

/** The name of the file, next to the folders of images and masks. */
export const classFile = "classes.txt";

/** The contents of the file. */
export interface MaskClasses {
  readonly path: string;
  readonly names: readonly string[];
  /** Number of the class by its colour, 65536 red + 256 green + blue; empty without colours. */
  readonly colours: ReadonlyMap<number, number>;
}

/**
 * Reads the classes in the order of their numbers, one on each line: `road`, or `road #804080` where masks are coloured.
 *
 * @returns undefined where there is no such file.
 * @throws FileFormatError naming the line of a name or a colour that comes twice, or of a missing colour.
 */
export async function readMaskClasses(folder: string): Promise<MaskClasses | undefined> {
  const path = join(folder, classFile);
  const lines = await readNames(path);
  if (lines === undefined) return undefined;
  const names: string[] = [];
  const colours = new Map<number, number>();
  for (const [index, line] of lines.entries()) {
    const [, name = line, digits] = /^(.*\S)\s+#([\da-f]{6})$/i.exec(line) ?? [];
    const where = `${path}, line ${index + 1}`;
    if (names.includes(name)) throw new FileFormatError(`the class ${name} comes twice`, { where });
    names.push(name);
    if (digits === undefined) continue;
    const colour = Number.parseInt(digits, 16);
    if (colours.has(colour)) throw new FileFormatError(`the colour #${digits} comes twice`, { where });
    colours.set(colour, index);
  }
  if (colours.size > 0 && colours.size < names.length) {
    const missing = names.findIndex((_, index) => ![...colours.values()].includes(index));
    throw new FileFormatError(`the class ${names[missing]} has no colour, others have one`, {
      where: `${path}, line ${missing + 1}`,
      remedy: "Give a colour for each class, as in `road #804080`, or for none.",
    });
  }
  return { path, names, colours };
}
