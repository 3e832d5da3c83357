/** How the tests run: in Node.js, two processes at a time, because each ONNX Runtime session takes threads of its own. */

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "node",
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    // A test whose loop never went round, or whose callback was never called, fails.
    expect: { requireAssertions: true },
    // For the tests that open ONNX Runtime by themselves; src/ sets it on its own.
    env: { ORT_DISABLE_TELEMETRY: "1" },
    testTimeout: 60_000,
    reporters: ["default", "./test/support/count-reporter.ts"],
  },
});
