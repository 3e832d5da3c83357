/** The built executable, as it is installed. `npm test` builds it first; without a build there is nothing to test here. */

import { execFile, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repositoryRoot } from "../support/repository.ts";

const executable = join(repositoryRoot, "dist", "cli", "main.js");

describe.skipIf(!existsSync(executable))("dist/cli/main.js", () => {
  const start = (...args: string[]) => spawnSync(process.execPath, [executable, ...args], { encoding: "utf8" });

  // npx runs the file itself, and the compiler does not make it executable.
  it("may be executed", () => {
    expect(() => accessSync(executable, constants.X_OK)).not.toThrow();
  });

  it("prints its help on stdout and ends with 0", () => {
    const { status, stdout, stderr } = start("--help");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("Exit codes:");
  });

  it("prints errors on stderr and ends with their code", () => {
    const { status, stdout, stderr } = start("train", "--dry-run", "--weight-bits", "99");
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain("from 1 to 16, got 99");
  });

  it("does not mind that its reader goes away", async () => {
    const code = await new Promise((resolve) => {
      const child = execFile(process.execPath, [executable, "train", "--help"], () => undefined);
      child.stdout?.destroy();
      child.on("close", resolve);
    });
    expect(code).toBe(0);
  });
});
