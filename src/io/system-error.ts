/**
 * Errors of the operating system and of the network in words: what `ENOSPC` or `ENOTFOUND` means and what to do about it.
 */

/** A cause in words, with the remedy where there is one that a user can follow. */
export interface SystemErrorText {
  readonly reason: string;
  readonly remedy?: string;
}

const known: ReadonlyMap<string, SystemErrorText> = new Map([
  ["ENOENT", { reason: "no such file or folder", remedy: "Check the path." }],
  ["EISDIR", { reason: "it is a folder, not a file", remedy: "Give the path of a file." }],
  ["ENOTDIR", { reason: "a part of the path is a file, not a folder", remedy: "Check the path." }],
  ["EEXIST", { reason: "a file of this name exists already", remedy: "Move it away or choose another path." }],
  ["EACCES", { reason: "permission denied", remedy: "Change the permissions or choose another path." }],
  ["EPERM", { reason: "the operation is not permitted", remedy: "Change the permissions or choose another path." }],
  ["EROFS", { reason: "the file system is read-only", remedy: "Choose another place." }],
  ["ENOSPC", { reason: "the disk is full", remedy: "Free some space or choose another disk, then run it again." }],
  [
    "EDQUOT",
    { reason: "the disk quota is used up", remedy: "Free some space or choose another disk, then run it again." },
  ],
  ["EPIPE", { reason: "the reader of the pipe is gone" }],
  ["EMFILE", { reason: "too many files are open", remedy: "Raise the limit: ulimit -n." }],
  ["EFBIG", { reason: "the file would be larger than is allowed here", remedy: "Raise the limit: ulimit -f." }],
  ["EIO", { reason: "the device reports an error" }],
  ["ELOOP", { reason: "a link leads back to itself", remedy: "Check the path." }],
  ["ENAMETOOLONG", { reason: "the name is too long", remedy: "Give a shorter name." }],
  ["ENOTFOUND", { reason: "the host name cannot be resolved (no network?)" }],
  ["EAI_AGAIN", { reason: "the host name cannot be resolved (no network?)" }],
  ["ECONNREFUSED", { reason: "the connection was refused" }],
  ["ECONNRESET", { reason: "the connection was cut" }],
  ["UND_ERR_SOCKET", { reason: "the connection was cut" }],
  ["ENETUNREACH", { reason: "the network cannot be reached" }],
  ["EHOSTUNREACH", { reason: "the host cannot be reached" }],
  ["ETIMEDOUT", { reason: "the connection timed out" }],
  ["UND_ERR_CONNECT_TIMEOUT", { reason: "the connection timed out" }],
]);

/** The code of a Node.js error (`ENOENT`), looked up through its chain of causes; undefined when it has none. */
export function systemErrorCode(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ("code" in current && typeof current.code === "string") return current.code;
  }
  return undefined;
}

/** Says in words what went wrong; an unknown error keeps its own message. */
export function describeSystemError(error: unknown): SystemErrorText {
  const code = systemErrorCode(error);
  const text = code === undefined ? undefined : known.get(code);
  if (text !== undefined) return { ...text, reason: `${text.reason} (${code})` };
  return { reason: error instanceof Error ? error.message : String(error) };
}
