/**
 * Locks: a file with the number of the process that writes a folder, so that no two do at once.
 *
 * A lock whose process is gone is taken over. Where the system tells when a process started, that is in the lock too: after a
 * restart of the machine, its number may belong to another process.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ConfigError, InputOutputError } from "../errors.ts";
import { temporaryName } from "./atomic-file.ts";
import { isAlive } from "./processes.ts";
import { describeSystemError, systemErrorCode } from "./system-error.ts";

/** What is locked, for the error: `run`, `study`. */
export type LockedKind = "run" | "study";

/** The locks that this process holds: the number alone cannot tell two writers of one process apart. */
const held = new Set<string>();

/** Attempts to take over a lock that others take over too. */
const attempts = 4;

/**
 * Takes a folder for this process.
 *
 * @returns a function that gives it back.
 * @throws ConfigError naming the process that has it, InputOutputError when the lock cannot be written.
 */
export function lockFolder(file: string, kind: LockedKind): () => void {
  for (let attempt = 0; ; attempt++) {
    try {
      writeLock(file);
      held.add(file);
      return () => {
        held.delete(file);
        removeQuietly(file);
      };
    } catch (cause) {
      if (systemErrorCode(cause) !== "EEXIST" || attempt === attempts) {
        const { reason, remedy } = describeSystemError(cause);
        throw new InputOutputError(`cannot lock the ${kind}: ${reason}`, {
          where: file,
          ...(remedy === undefined ? {} : { remedy }),
          cause,
        });
      }
    }
    const before = readLock(file);
    const owner = before === undefined ? undefined : liveOwner(file, before);
    if (owner !== undefined) throw lockedError(file, kind, owner);
    takeAway(file, before);
  }
}

/** The process that holds a lock; undefined where there is none, or its process is gone. */
export function lockOwner(file: string): number | undefined {
  const content = readLock(file);
  return content === undefined ? undefined : liveOwner(file, content);
}

/** Removes the locks of this name in a folder and in those in it whose processes are gone. */
export async function removeStaleLocks(folder: string, name: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile() && entry.name === name && lockOwner(file) === undefined) removeQuietly(file);
  }
}

function lockedError(file: string, kind: LockedKind, owner: number): ConfigError {
  const who = owner === process.pid ? "this process" : `process ${owner}`;
  return new ConfigError(`${who} is ${kind === "run" ? "writing this run" : "running this study"}`, {
    where: dirname(file),
    remedy: `Wait for it, or stop it. If that process is not a ${kind}, remove ${file}.`,
  });
}

/** Makes a lock with its content at once, so that no other process reads an empty one. */
function writeLock(file: string): void {
  const whole = temporaryName(file);
  const content = `${process.pid} ${startOf(process.pid) ?? ""}`.trimEnd().concat("\n");
  try {
    writeFileSync(whole, content, { flag: "wx" });
    linkSync(whole, file);
  } catch (error) {
    if (!["EPERM", "ENOTSUP", "ENOSYS", "EOPNOTSUPP"].includes(systemErrorCode(error) ?? "")) throw error;
    // A file system without hard links.
    writeFileSync(file, content, { flag: "wx" });
  } finally {
    removeQuietly(whole);
  }
}

function readLock(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // It went away in the meantime.
    return undefined;
  }
}

function liveOwner(file: string, content: string): number | undefined {
  const [pid = "", start] = content.trim().split(" ");
  const owner = Number(pid);
  if (!Number.isInteger(owner) || owner <= 0) return undefined;
  if (owner === process.pid) return held.has(file) ? owner : undefined;
  const present = startOf(owner);
  return isAlive(owner) && (start === undefined || present === undefined || start === present) ? owner : undefined;
}

/** Removes the lock of a process that is gone, unless another has taken it over since it was read. */
function takeAway(file: string, before: string | undefined): void {
  const aside = temporaryName(file);
  try {
    renameSync(file, aside);
    if (readLock(aside) !== before) renameSync(aside, file);
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return;
    throw new InputOutputError(`cannot take over the lock: ${describeSystemError(cause).reason}`, {
      where: file,
      cause,
    });
  } finally {
    removeQuietly(aside);
  }
}

/** What cannot be removed stays: the lock of a process that is gone binds nobody. */
function removeQuietly(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // The folder was made read-only, or taken away.
  }
}

/** When a process started, in the system's own ticks and with its boot; undefined where the system does not tell. */
function startOf(pid: number): string | undefined {
  try {
    // The name of the program, in parentheses, may hold spaces. The start is the twentieth field after it.
    const ticks = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[19];
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return ticks === undefined ? undefined : `${boot}:${ticks}`;
  } catch {
    return undefined;
  }
}
