/**
 * Files that are either whole or not there: written under a temporary name in the same folder, flushed, then renamed.
 *
 * A crash, a full disk or a second writer leaves the old file or the new one, never a part of one.
 */
import { randomUUID } from "node:crypto";
import { access, constants, mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InputOutputError } from "../errors.ts";
import { describeSystemError } from "./system-error.ts";

/**
 * Writes a whole file atomically and makes its folder where needed. The temporary name is `.NAME.UUID.part`.
 *
 * @throws InputOutputError naming the file when it cannot be written; nothing is left behind then.
 */
export async function writeFileAtomically(path: string, contents: Uint8Array | string): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomUUID()}.part`);
  try {
    await mkdir(folder, { recursive: true });
    const file = await open(temporary, "wx");
    try {
      await file.writeFile(contents);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(path, "the file cannot be written", cause);
  }
  await syncFolder(folder);
}

/**
 * Makes a folder where needed and checks that files can be put there, before work is spent on them.
 *
 * @throws InputOutputError naming the folder.
 */
export async function makeWritableFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (cause) {
    throw writeError(folder, "files cannot be put in this folder", cause);
  }
}

function writeError(path: string, what: string, cause: unknown): InputOutputError {
  const { reason, remedy } = describeSystemError(cause);
  return new InputOutputError(`${what}: ${reason}`, {
    where: path,
    ...(remedy === undefined ? {} : { remedy }),
    cause,
  });
}

/** Makes the rename itself durable; file systems and systems that cannot flush a folder are left to their own ways. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Windows refuses to open folders; the file's own contents are already flushed.
  }
}
