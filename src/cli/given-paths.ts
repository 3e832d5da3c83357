/** The paths on the command line, checked before any command opens them: a device never ends, and a pipe may never begin. */

import { closeSync, constants, open, openSync } from "node:fs";
import { stat } from "node:fs/promises";
import { ConfigError } from "../errors.ts";

/** How long a named pipe may be without a writer. */
const mostWait = 1000;

/**
 * Checks every argument and flag, whatever it means: a word that is no path names nothing in the file system.
 *
 * @throws ConfigError for a device, and for a named pipe that no process writes to.
 */
export async function checkGivenPaths(
  args: readonly unknown[],
  flags: Readonly<Record<string, unknown>>,
): Promise<void> {
  for (const given of [...args, ...Object.values(flags)].flat()) {
    if (typeof given !== "string" || given === "") continue;
    await checkPath(given);
    // Of `--set key=path`.
    const cut = given.indexOf("=");
    if (cut > 0) await checkPath(given.slice(cut + 1).trim());
  }
}

async function checkPath(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isCharacterDevice() === true || found?.isBlockDevice() === true) {
    throw new ConfigError("it is a device, not a file or a folder", {
      where: path,
      remedy: "Give the path of a file or a folder.",
    });
  }
  if (found?.isFIFO() === true && !(await isWritten(path))) {
    throw new ConfigError("it is a named pipe, and no process writes to it", {
      where: path,
      remedy: "Start the process that writes to it first, or give the path of a file.",
    });
  }
}

/**
 * Whether a process has opened the pipe for writing. The pipe stays open here, because the writer would end between this
 * opening and the command's own.
 */
function isWritten(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      resolve(false);
      endWaiting(path);
    }, mostWait);
    // What cannot be opened is for the command to say.
    open(path, "r", (error, descriptor) => {
      clearTimeout(timer);
      if (isLate && error === null) closeSync(descriptor);
      resolve(true);
    });
  });
}

/** An opening that waits keeps the process alive: a writer that says nothing ends it. */
function endWaiting(path: string): void {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch {
    // Its reader has just gone.
  }
}
