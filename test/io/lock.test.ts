import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError, InputOutputError } from "../../src/errors.ts";
import { lockFolder, lockOwner, removeStaleLocks } from "../../src/io/lock.ts";

let folder = "";
let file = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "subbyte-lock-"));
  file = join(folder, "train.lock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The number of a process that has ended. */
async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  return child.pid ?? 0;
}

describe("a lock", () => {
  it("names this process, refuses a second writer, and leaves nothing behind", async () => {
    const unlock = lockFolder(file, "run");
    expect(lockOwner(file)).toBe(process.pid);
    expect(() => lockFolder(file, "run")).toThrow(ConfigError);
    unlock();
    expect(await readdir(folder)).toEqual([]);
    lockFolder(file, "run")();
  });

  it("of a live process is refused with its number", async () => {
    await writeFile(file, `${process.ppid}\n`);
    expect(() => lockFolder(file, "run")).toThrow(`process ${process.ppid} is writing this run`);
    expect(() => lockFolder(file, "study")).toThrow(`process ${process.ppid} is running this study`);
    expect(await readFile(file, "utf8")).toBe(`${process.ppid}\n`);
  });

  it.each<[string, () => Promise<string>]>([
    ["of a process that is gone", async () => `${await deadProcess()}\n`],
    ["of this number before a restart", async () => `${process.pid} another-boot:1\n`],
    ["that is empty", async () => ""],
    ["that holds anything", async () => "no number"],
  ])("%s is taken over", async (_, content) => {
    await writeFile(file, await content());
    const unlock = lockFolder(file, "run");
    expect(lockOwner(file)).toBe(process.pid);
    unlock();
    expect(await readdir(folder)).toEqual([]);
  });

  it.skipIf(process.platform !== "linux")("of a number that another process has got since is taken over", async () => {
    await writeFile(file, `${process.ppid} another-boot:1\n`);
    lockFolder(file, "run")();
    expect(existsSync(file)).toBe(false);
  });

  it("that cannot be written is an error of the disk", () => {
    expect(() => lockFolder(join(folder, "missing", "train.lock"), "run")).toThrow(InputOutputError);
  });
});

describe("removing stale locks", () => {
  it("keeps those of live processes and files of other names", async () => {
    await writeFile(file, `${await deadProcess()}\n`);
    await writeFile(join(folder, "other.lock"), "1\n");
    await removeStaleLocks(folder, "train.lock");
    expect(await readdir(folder)).toEqual(["other.lock"]);
    await writeFile(file, `${process.ppid}\n`);
    await removeStaleLocks(folder, "train.lock");
    expect((await readdir(folder)).sort()).toEqual(["other.lock", "train.lock"]);
  });
});
