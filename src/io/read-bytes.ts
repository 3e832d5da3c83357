/** Whole files in memory, with what stands in the way in words. */

import { readFile } from "node:fs/promises";
import { defined } from "../base/defined.ts";
import { FileFormatError } from "../errors.ts";
import { describeSystemError } from "./system-error.ts";

/** The bytes of a file. @throws FileFormatError naming the file. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { reason, remedy } = describeSystemError(cause);
    throw new FileFormatError(`the file cannot be read: ${reason}`, {
      where: path,
      ...defined({ remedy }),
      cause,
    });
  }
}

/** The lines of a text file that holds one name each; undefined when there is no such file. */
export async function readNames(path: string): Promise<readonly string[] | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  const names = text?.split(/\r?\n/).map((line) => line.trim());
  const filled = names?.filter((name) => name !== "");
  return filled === undefined || filled.length === 0 ? undefined : filled;
}
