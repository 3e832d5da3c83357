/** The first hour with a model of one's own: scripts/first-hour.sh with the built command. `npm test` builds it first. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { repositoryRoot } from "../../support/repository.ts";

const script = join(repositoryRoot, "scripts", "first-hour.sh");
const executable = join(repositoryRoot, "dist", "cli", "main.js");
/** Ten seconds of work, on a machine that may do other things. */
const longest = 300_000;

describe.skipIf(!existsSync(executable))("the first hour with a network that PyTorch exported", () => {
  it("prints what each command should", { timeout: longest }, async () => {
    // A failing step is printed by the script, and is in the error's text.
    const { stdout } = await promisify(execFile)("bash", [script], { maxBuffer: 2 ** 26 }).catch((error: unknown) => {
      const printed = error instanceof Error && "stdout" in error ? String(error.stdout) : "";
      throw new Error(`${String(error)}\n${printed}`);
    });
    expect(stdout).toMatch(/first hour: \d+ expectations met/);
  });
});
