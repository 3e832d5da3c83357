/**
 * Prints `12 passed, 0 failed` alone on the last line of a test run, from vitest's own results.
 *
 * vitest's summary speaks of files and tests in separate lines with colours; a script that watches the run wants one line
 * that can be trusted. So whatever makes the run red counts as a failure here too: a file that did not import, a hook
 * that threw, an error outside of any test.
 */

import type { Reporter, TestModule, Vitest } from "vitest/node";

/** What a run came to. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The part of vitest's results that is counted; `state` is `"pending"` for what never came to run. */
export interface CountedModule {
  readonly testStates: readonly string[];
  readonly state: string;
  /** Files and `describe` blocks of this module that failed by themselves: an import, a hook. */
  readonly brokenSuites: number;
}

/** Counts tests, and as failures too what broke outside of tests; a red module never counts as less than one failure. */
export function countResults(modules: readonly CountedModule[], unhandledErrors: number): Counts {
  const counts: Counts = { passed: 0, failed: unhandledErrors, skipped: 0 };
  for (const module of modules) {
    const failedBefore = counts.failed;
    counts.failed += module.brokenSuites;
    for (const state of module.testStates) {
      if (state === "passed") counts.passed++;
      else if (state === "skipped") counts.skipped++;
      else counts.failed++;
    }
    const moduleIsRed = module.state !== "passed" && module.state !== "skipped";
    if (moduleIsRed && counts.failed === failedBefore) counts.failed++;
  }
  return counts;
}

/** `12 passed, 0 failed`, with `, 3 skipped` when something was skipped. */
export function formatCounts(counts: Counts): string {
  const line = `${counts.passed} passed, ${counts.failed} failed`;
  return counts.skipped === 0 ? line : `${line}, ${counts.skipped} skipped`;
}

export default class CountReporter implements Reporter {
  private watching = false;
  private line: string | undefined;

  onInit(vitest: Vitest): void {
    this.watching = vitest.config.watch;
    // Other reporters, and vitest's closing of its workers, may print after the run's end: only the exit is really last.
    process.once("exit", () => {
      if (this.line !== undefined) process.stdout.write(`${this.line}\n`);
    });
  }

  onTestRunEnd(testModules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const modules = testModules.map((module) => ({
      state: module.state(),
      brokenSuites: [module, ...module.children.allSuites()].filter((suite) => suite.errors().length > 0).length,
      testStates: [...module.children.allTests()].map((test) => test.result().state),
    }));
    const line = formatCounts(countResults(modules, unhandledErrors.length));
    if (this.watching) process.stdout.write(`${line}\n`);
    else this.line = line;
  }
}
