/**
 * Which tests are slow, read off what they import: those that train, run studies or the command line, and those that start
 * processes, threads or browsers. A test that is slow for another reason says `@slow` in its first comment.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { parseLoaded } from "./imports.ts";
import { repositoryRoot } from "./repository.ts";

/** Packages that start something outside the test. */
const slowPackages: ReadonlySet<string> = new Set(["node:child_process", "node:worker_threads", "playwright-core"]);

/** What trains: whole runs and studies, their loop, and the command line, which runs them all. */
const slowSources =
  /^src\/(index|train\/(run|loop\/trainer)|study\/(run-study|study)|study\/mixed\/mixed|diagnose\/watch-run|cli\/main)\.ts$/;

/** Tells whether test files are slow: by their own tag, or by what they and the helpers of test/ that they import load. */
export function slowness(read: (path: string) => string): (path: string) => boolean {
  const known = new Map<string, boolean>();
  const isSlow = (path: string): boolean => {
    const before = known.get(path);
    if (before !== undefined) return before;
    // Helpers that import each other are as slow as what else they import.
    known.set(path, false);
    const text = read(path);
    const { files, packages } = parseLoaded(path, text, { later: true });
    const slow =
      (path.endsWith(".test.ts") && hasTag(text, "@slow")) ||
      packages.some((each) => slowPackages.has(each)) ||
      files.some((each) => slowSources.test(each)) ||
      files.some((each) => each.startsWith("test/") && each.endsWith(".ts") && isSlow(each));
    known.set(path, slow);
    return slow;
  };
  return isSlow;
}

/** Whether a file's first comment has a tag. */
export function hasTag(text: string, tag: "@slow" | "@alone"): boolean {
  return text.startsWith("/**") && text.slice(0, text.indexOf("*/")).includes(tag);
}

const read = (path: string) => readFileSync(join(repositoryRoot, path), "utf8");

/** Every test, by its path inside the repository. */
function allTests(): string[] {
  return readdirSync(join(repositoryRoot, "test"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".test.ts"))
    .map((entry) => relative(repositoryRoot, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

/** The slow tests, by their paths inside the repository. */
export function slowTests(): string[] {
  return allTests().filter(slowness(read));
}

/** What changes the registries of the process, so that tests after it see other operators and quantizers. */
const registering = /^src\/plugins\/(plugin|load)\.ts$/;

/** The tests that need a process of their own: they register plugins, or say `@alone` because they measure or set its state. */
export function lonelyTests(): string[] {
  return allTests().filter((path) => {
    const text = read(path);
    return hasTag(text, "@alone") || parseLoaded(path, text).files.some((each) => registering.test(each));
  });
}
