/** Paths as they are shown. */
import { isAbsolute, relative, sep } from "node:path";

/**
 * Returns a path within the current folder relative to it, as it is typed; every other one as it is. Configurations hold absolute
 * paths, because they are used from other folders.
 */
export function shownPath(path: string, folder: string = process.cwd()): string {
  if (!isAbsolute(path)) return path;
  const short = relative(folder, path);
  const isWithin = short !== "" && short !== ".." && !short.startsWith(`..${sep}`) && !isAbsolute(short);
  return isWithin ? short : path;
}
