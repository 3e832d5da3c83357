/** No file that is published may name the machine it was written on, nor a package registry other than the user's own. */

import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repositoryRoot } from "../support/repository.ts";

// Written in pieces, so that this file does not find itself.
const machinePath = new RegExp(`(^|[^A-Za-z0-9._-])/(${["work", "farm"].join("|")})/`);
const registryHost = new RegExp(["registry", "npmjs"].join("\\."));

const lockFiles = new Set(["package-lock.json"]);
const largestTextFile = 2 ** 21;

/** The files that git tracks or would track; undefined outside a git checkout, where there is nothing to publish. */
function publishedFiles(): string[] | undefined {
  try {
    const listing = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: repositoryRoot,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return [...new Set(listing.split("\0"))].filter((path) => path !== "" && !lockFiles.has(path));
  } catch {
    return undefined;
  }
}

function leaksIn(name: string, text: string): string[] {
  return text.split("\n").flatMap((line, index) => {
    return machinePath.test(line) || registryHost.test(line)
      ? [`${name}:${index + 1}: ${line.trim().slice(0, 120)}`]
      : [];
  });
}

/** The text of a file, or undefined when it is binary, too large to be text, or deleted but not yet committed as such. */
function readText(path: string): string | undefined {
  const file = join(repositoryRoot, path);
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? Number.POSITIVE_INFINITY) > largestTextFile) return undefined;
  const bytes = readFileSync(file);
  return bytes.subarray(0, 8000).includes(0) ? undefined : bytes.toString("utf8");
}

describe("published files", () => {
  const files = publishedFiles();

  it.skipIf(files === undefined)("name no path of this machine and no registry", () => {
    const leaks = (files ?? []).flatMap((path) => {
      const text = readText(path);
      return text === undefined ? [] : leaksIn(path, text);
    });
    expect(leaks).toEqual([]);
  });

  it("would be caught", () => {
    const [folder, host] = ["work", "registry"];
    expect(leaksIn("a.ts", `open("/${folder}/main/x")\n`)).toEqual([`a.ts:1: open("/${folder}/main/x")`]);
    expect(leaksIn("a.ts", `see https://${host}.npmjs.org/zod`)).toHaveLength(1);
    expect(leaksIn("a.ts", `./${folder}/x, home/${folder}/y, a.${folder}/z`)).toEqual([]);
  });
});
