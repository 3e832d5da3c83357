/** Devices that never end, and texts that are too long for what they are taken for, at each command that takes a path. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { mostTextBytes } from "../../src/config/source.ts";
import { capture } from "../support/machine/capture.ts";

const folder = mkdtempSync(join(tmpdir(), "subbyte-limited-"));
const long = join(folder, "long.yaml");
const python = join(folder, "long.py");
writeFileSync(long, `#${"x".repeat(mostTextBytes)}\n`);
writeFileSync(python, `#${"x".repeat(mostTextBytes)}\n`);
afterAll(() => rmSync(folder, { recursive: true }));

describe.runIf(process.platform !== "win32")("a device", () => {
  it.each([
    ["inspect", "/dev/zero"],
    ["import", "/dev/zero"],
    ["eval", "/dev/zero"],
    ["convert", "/dev/zero"],
    ["explain", "/dev/zero"],
    ["train", "--config", "/dev/zero", "--dry-run"],
    ["study", "/dev/zero", "--dry-run"],
  ])("is refused by %s %s %s", async (...args) => {
    const start = performance.now();
    const { code, stderr } = await capture(...args);
    expect(code).toBeGreaterThan(0);
    expect(stderr).not.toContain("internal error");
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(stderr).toMatch(/device|not a regular file/);
  });
});

describe("a text above the limit", () => {
  it.each([
    ["train", "--config", long, "--dry-run"],
    ["study", long, "--dry-run"],
    ["explain", long],
    ["explain", python],
  ])("is refused by %s", async (...args) => {
    const { code, stderr } = await capture(...args);
    expect(code).toBe(1);
    expect(stderr).toContain("more than 1 MB");
  });
});

describe("YAML", () => {
  const refused = async (text: string, ...args: string[]) => {
    const file = join(folder, "odd.yaml");
    writeFileSync(file, text);
    const { code, stderr } = await capture(...args, file, "--dry-run");
    expect(code).toBe(2);
    expect(stderr).not.toContain("internal error");
    return stderr;
  };
  const nine = (name: string) => `[${Array(9).fill(`*${name}`).join(", ")}]`;
  const bomb = [
    "a: &a [x]",
    ..."bcdefghi".split("").map((name, i) => `${name}: &${name} ${nine("abcdefgh"[i] ?? "")}`),
  ];

  it.each([
    ["an alias without an anchor", "seed: *a\n", "aliases"],
    ["a merge of a number", "<<: 3\n", ""],
    ["aliases that grow", `${bomb.join("\n")}\n`, "aliases"],
    ["brackets inside of one another", `seed: ${"[".repeat(100_000)}\n`, "nested too deep"],
    ["lists inside of one another", `${"- ".repeat(100_000)}\n`, "nested too deep"],
    ["indentation without end", Array.from({ length: 1000 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"), "too deep"],
    ["closed brackets inside of one another", `seed: ${"[".repeat(50_000)}${"]".repeat(50_000)}\n`, "nested too deep"],
  ])("with %s is refused in runs and studies", async (_, text, message) => {
    expect(await refused(text, "train", "--config")).toContain(message);
    expect(await refused(text, "study")).toContain(message);
  });

  it("with any of them is refused in a flag", async () => {
    for (const value of ["*a", `${"[".repeat(50_000)}${"]".repeat(50_000)}`]) {
      const { code, stderr } = await capture("train", "--set", `seed=${value}`, "--dry-run");
      expect(code).toBe(2);
      expect(stderr).not.toContain("internal error");
    }
  });
});
