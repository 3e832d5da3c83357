/** Images that libvips, as `sharp` packages it, has no reader for: bitmaps and netpbm's formats. */
import { extname } from "node:path";
import { isBmp, openBmp } from "./bmp/bmp.ts";
import { isPnm, openPnm } from "./pnm.ts";
import { openSource, type PlainImage } from "./source.ts";

/** The endings of their names. */
export const plainEndings: readonly string[] = [".bmp", ".ppm", ".pgm", ".pbm", ".pnm"];

/** Whether a file has the name of one of them; its first bytes decide. */
export function hasPlainName(path: string): boolean {
  return plainEndings.includes(extname(path).toLowerCase());
}

/**
 * Opens an image by its first bytes; undefined where they are those of another format.
 *
 * @throws FileFormatError where the header is broken, or where the file is shorter than it states.
 */
export async function openPlainImage(path: string): Promise<PlainImage | undefined> {
  const source = await openSource(path);
  if (isBmp(source.head)) return openBmp(source);
  return isPnm(source.head) ? openPnm(source) : undefined;
}
