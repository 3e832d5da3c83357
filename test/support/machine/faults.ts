/** Makes the system refuse writes below a folder, at each of them in turn, as a full disk or a lost permission does. */
import fs from "node:fs";
import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { resolve, sep } from "node:path";

/** Which write fails, and how. */
export interface Fault {
  /** Only writes below this folder count. */
  readonly under: string;
  /** Counted from 1; Infinity: none, to count them. */
  readonly at: number;
  /** `ENOSPC`, `EACCES`, … */
  readonly code: string;
  /** Whether later writes succeed again. */
  readonly once?: boolean;
}

type Call = (...args: unknown[]) => unknown;
type Calls = Record<string, unknown>;

const promised = ["mkdir", "rename", "rm", "link", "writeFile", "copyFile"];
const sync = ["writeFileSync", "renameSync", "linkSync", "mkdirSync"];

/** Does a job while writes fail. Returns its result or error, and how many writes there were. */
export async function withFault<Result>(
  { under, at, code, once = false }: Fault,
  job: () => Promise<Result>,
): Promise<{ readonly outcome: Result | { readonly error: unknown }; readonly writes: number }> {
  let writes = 0;
  const root = resolve(under) + sep;
  const descriptors = new Set<number>();
  const isBelow = (path: unknown) => typeof path === "string" && (resolve(path) + sep).startsWith(root);
  const step = (syscall: string, path: unknown) => {
    writes++;
    if (writes < at || (once && writes > at)) return;
    const message = `${code}: injected, ${syscall} '${String(path)}'`;
    throw Object.assign(new Error(message), { code, syscall, path: typeof path === "string" ? path : undefined });
  };
  const undo: (() => void)[] = [];
  const replace = (owner: Calls, name: string, make: (original: Call) => Call) => {
    const original = owner[name];
    if (typeof original !== "function") throw new Error(`there is no ${name}`);
    owner[name] = make((...args) => Reflect.apply(original, owner, args));
    undo.push(() => {
      owner[name] = original;
    });
  };
  const isWriting = (options: unknown) => typeof options === "string" && /[wa+]/.test(options);
  const asCalls = (value: object): Calls => value as Calls;
  const [present, promises] = [asCalls(fs), asCalls(fsPromises)];
  for (const name of promised) {
    replace(promises, name, (original) => async (...args) => {
      if (isBelow(args[0])) step(name, args[0]);
      return original(...args);
    });
  }
  for (const name of sync) {
    replace(present, name, (original) => (...args) => {
      if (isBelow(args[0])) step(name, args[0]);
      return original(...args);
    });
  }
  replace(promises, "open", (original) => async (...args) => {
    if (!isBelow(args[0]) || !isWriting(args[1])) return original(...args);
    step("open", args[0]);
    const handle = await original(...args);
    if (typeof handle === "object" && handle !== null) {
      for (const name of ["writeFile", "sync"]) {
        const calls = asCalls(handle);
        const own = calls[name];
        if (typeof own !== "function") continue;
        calls[name] = async (...given: unknown[]) => {
          step(name, args[0]);
          return Reflect.apply(own, handle, given);
        };
      }
    }
    return handle;
  });
  replace(present, "openSync", (original) => (...args) => {
    if (!isBelow(args[0]) || !isWriting(args[1])) return original(...args);
    step("openSync", args[0]);
    const descriptor = original(...args);
    if (typeof descriptor === "number") descriptors.add(descriptor);
    return descriptor;
  });
  replace(present, "writeSync", (original) => (...args) => {
    if (typeof args[0] === "number" && descriptors.has(args[0])) step("write", args[0]);
    return original(...args);
  });
  syncBuiltinESMExports();
  try {
    const outcome = await job().catch((error: unknown) => ({ error }));
    return { outcome, writes };
  } finally {
    for (const restore of undo) restore();
    syncBuiltinESMExports();
  }
}

/** The writes to try: all of them with SUBBYTE_FAULTS=all, else about `few` of them, the first and the last included. */
export function writesToTry(count: number, few: number): number[] {
  const every = process.env.SUBBYTE_FAULTS === "all" ? 1 : Math.max(1, Math.floor(count / few));
  const chosen = Array.from({ length: count }, (_, index) => index + 1);
  return chosen.filter((at) => at % every === 0 || at === 1 || at === count);
}
