/** Which tests `npm run test:fast` leaves out. */
import { describe, expect, it } from "vitest";
import { slowness, slowTests } from "../support/slow-tests.ts";

describe("a test is slow", () => {
  const files: Readonly<Record<string, string>> = {
    "test/a/trains.test.ts": 'import { startRun } from "../../src/train/run.ts";\nstartRun();',
    "test/a/types.test.ts": 'import type { RunResult } from "../../src/train/run.ts";\nexport type A = RunResult;',
    "test/a/helped.test.ts": 'import { tiny } from "../support/tiny.ts";\ntiny();',
    "test/support/tiny.ts": 'import { spawn } from "node:child_process";\nexport const tiny = () => spawn("x");',
    "test/a/tagged.test.ts": '/**\n * Every case of a large corpus. @slow\n */\nimport "vitest";',
    "test/a/plain.test.ts": '/** Adds. */\nimport { mean } from "../../src/base/statistics.ts";\nmean([]); // @slow',
  };
  const read = (path: string) => files[path] ?? "";

  it.each([
    ["where it trains", "trains", true],
    ["but not where it imports types of training", "types", false],
    ["where a helper starts processes", "helped", true],
    ["where its first comment says so", "tagged", true],
    ["and no other is", "plain", false],
  ])("%s", (_, name, expected) => {
    expect(slowness(read)(`test/a/${name}.test.ts`)).toBe(expected);
  });

  it("in this project: those that kill, and those with browsers, but not this one", () => {
    const slow = slowTests();
    expect(slow).toContain("test/study/schedule/kill.test.ts");
    expect(slow).toContain("test/browser/training.test.ts");
    expect(slow).not.toContain("test/house/slow-tests.test.ts");
    expect(slow).not.toContain("test/convert/ranges.test.ts");
  });
});
