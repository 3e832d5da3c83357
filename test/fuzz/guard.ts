/** Notes each file that is opened, written, moved or removed outside of the folders where that is allowed. */

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { dirname, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const reading = [
  "open",
  "openSync",
  "readFile",
  "readFileSync",
  "createReadStream",
  "readdir",
  "readdirSync",
  "opendir",
];
const writing = [
  ...["writeFile", "writeFileSync", "appendFile", "appendFileSync", "createWriteStream", "mkdir", "mkdirSync"],
  ...["rm", "rmSync", "unlink", "unlinkSync", "rename", "renameSync", "copyFile", "copyFileSync", "truncate"],
  ...["symlink", "symlinkSync", "link", "linkSync", "chmod", "chmodSync", "utimes", "utimesSync"],
];

/** A guard over the file system of this process. */
export interface FileGuard {
  /** The folder of the present input: everything is allowed in it. */
  folder: string;
  /** That of the input before it: what was being read next to the file that was refused may still be on its way. */
  before: string;
  /** Takes the paths that were touched outside of it since the last call. */
  readonly take: () => readonly string[];
}

/**
 * Replaces the functions of node:fs that open or change files with ones that note the path.
 *
 * @param readable Folders that may be read at any time: those of the program itself.
 */
export function guardFiles(readable: readonly string[]): FileGuard {
  const outside = new Set<string>();
  const { realpathSync } = fs;
  const real = (path: string): string => {
    try {
      return realpathSync(path);
    } catch {
      const parent = dirname(path);
      return parent === path ? path : real(parent) + sep + path.slice(parent.length).replace(/^[/\\]/, "");
    }
  };
  const guard = {
    folder: "",
    before: "",
    take: () => {
      const paths = [...outside];
      outside.clear();
      return paths;
    },
  };
  const isIn = (path: string, folder: string) => path === folder || path.startsWith(folder + sep);
  const note = (name: string, path: unknown, isWriting: boolean) => {
    if (typeof path !== "string" && !(path instanceof URL) && !Buffer.isBuffer(path)) return;
    const given = path instanceof URL ? fileURLToPath(path) : path.toString();
    const touched = real(resolve(given));
    if (
      isIn(touched, guard.folder) ||
      (guard.before !== "" && isIn(touched, guard.before) && !isWriting) ||
      (!isWriting && readable.some((folder) => isIn(touched, folder)))
    )
      return;
    outside.add(`${name} ${touched}`);
  };
  for (const module of [fs, fs.promises]) {
    for (const name of [...reading, ...writing]) {
      const original: unknown = Reflect.get(module, name);
      if (typeof original !== "function") continue;
      const watched = function (this: unknown, ...args: unknown[]): unknown {
        const flags = name.startsWith("open") && typeof args[1] === "string" ? args[1] : "r";
        note(name, args[0], writing.includes(name) || flags !== "r");
        return Reflect.apply(original, this, args);
      };
      Object.setPrototypeOf(watched, original);
      Reflect.set(module, name, watched);
    }
  }
  syncBuiltinESMExports();
  return guard;
}
