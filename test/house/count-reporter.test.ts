import { describe, expect, it } from "vitest";
import { countResults, formatCounts } from "../support/count-reporter.ts";

describe("the closing line of a test run", () => {
  it("counts what vitest says", () => {
    const modules = [
      { state: "failed", brokenSuites: 0, testStates: ["passed", "failed", "skipped"] },
      { state: "passed", brokenSuites: 0, testStates: ["passed"] },
      { state: "skipped", brokenSuites: 0, testStates: ["skipped"] },
    ];
    expect(formatCounts(countResults(modules, 0))).toBe("2 passed, 1 failed, 2 skipped");
  });

  it("says nothing of skipped tests when there are none", () => {
    expect(formatCounts(countResults([{ state: "passed", brokenSuites: 0, testStates: ["passed"] }], 0))).toBe(
      "1 passed, 0 failed",
    );
  });

  it("counts a file that did not import, a hook that threw and an error outside tests as failures", () => {
    expect(countResults([{ state: "failed", brokenSuites: 1, testStates: [] }], 0).failed).toBe(1);
    expect(countResults([{ state: "failed", brokenSuites: 1, testStates: ["failed"] }], 0).failed).toBe(2);
    expect(countResults([{ state: "failed", brokenSuites: 0, testStates: ["skipped"] }], 0).failed).toBe(1);
    expect(countResults([{ state: "passed", brokenSuites: 0, testStates: ["passed"] }], 2).failed).toBe(2);
  });

  it("counts what was never run as a failure", () => {
    expect(countResults([{ state: "queued", brokenSuites: 0, testStates: [] }], 0).failed).toBe(1);
    expect(countResults([{ state: "pending", brokenSuites: 0, testStates: ["passed", "pending"] }], 0)).toEqual({
      passed: 1,
      failed: 1,
      skipped: 0,
    });
  });
});
