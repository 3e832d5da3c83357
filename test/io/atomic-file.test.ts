import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isAbandoned, removeTemporaries, temporaryName, writeFileAtomic } from "../../src/io/atomic-file.ts";
import { repositoryRoot } from "../support/repository.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "subbyte-atomic-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Kills a process while it writes `file`, in pieces that never end; gives the name of what it left. */
async function killWhileWriting(file: string): Promise<string> {
  const module = join(repositoryRoot, "src", "io", "atomic-file.ts");
  const script = `import { writeFileAtomic } from ${JSON.stringify(module)};
    await writeFileAtomic(${JSON.stringify(file)}, async function* () { for (;;) { yield new Uint8Array(1000); await new Promise((next) => setTimeout(next, 5)); } });`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    cwd: repositoryRoot,
    stdio: "ignore",
  });
  const exited = once(child, "exit");
  let left: string | undefined;
  while (left === undefined && child.exitCode === null) {
    await sleep(10);
    left = (await readdir(folder)).find((name) => name.endsWith(".part"));
  }
  child.kill("SIGKILL");
  await exited;
  return left ?? "nothing was written";
}

describe("a process that is killed while it writes a file", () => {
  it("leaves the old file; its temporary file is removed", async () => {
    const file = join(folder, "state.json");
    await writeFileAtomic(file, "old");
    const left = await killWhileWriting(file);
    expect((await readdir(folder)).sort()).toEqual([left, "state.json"].sort());
    expect(isAbandoned(left)).toBe(true);
    await removeTemporaries(folder);
    expect(await readdir(folder)).toEqual(["state.json"]);
    expect(await readFile(file, "utf8")).toBe("old");
  }, 30_000);
});

describe("removing temporary files", () => {
  it("keeps those of processes that are alive, and all files of other names", async () => {
    const uuid = "0b1c2d3e-0000-4000-8000-0123456789ab";
    const kept = [
      basename(temporaryName(join(folder, "mine.json"))),
      `.a.${process.ppid}.${uuid}.part`,
      "a.part",
      ".hidden",
      `.a.12.${uuid}`,
      `a.99999999.${uuid}.part`,
    ];
    const gone = [`.a.99999999.${uuid}.part`, `.with.dots.and 1.99999999.${uuid}.part`];
    for (const name of [...kept, ...gone]) await writeFile(join(folder, name), "");
    await removeTemporaries(folder);
    expect((await readdir(folder)).sort()).toEqual(kept.sort());
  });

  it("looks into inner folders only when asked to, and does not mind a folder that is not there", async () => {
    const inner = join(folder, "inner");
    await mkdir(inner);
    await writeFile(join(inner, ".a.99999999.0b1c2d3e-0000-4000-8000-0123456789ab.part"), "");
    await removeTemporaries(folder);
    expect(await readdir(inner)).toHaveLength(1);
    await removeTemporaries(folder, { recursive: true });
    expect(await readdir(inner)).toEqual([]);
    await removeTemporaries(join(folder, "missing"), { recursive: true });
  });
});
