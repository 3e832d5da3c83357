/** How the tests run: in Node.js, two processes at a time, because each ONNX Runtime session takes threads of its own. */

import { fileURLToPath } from "node:url";
import { defineConfig, type TestUserConfig } from "vitest/config";

/** What all tests have in common. */
export const shared: Omit<TestUserConfig, "projects" | "reporters" | "maxWorkers"> = {
  environment: "node",
  // Examples import the package by its name, as in the project of a user.
  alias: { subbyte: fileURLToPath(new URL("src/index.ts", import.meta.url)) },
  include: ["test/**/*.test.ts"],
  pool: "forks",
  // A test whose loop never went round, or whose callback was never called, fails.
  expect: { requireAssertions: true },
  // For the tests that open ONNX Runtime by themselves; src/ sets it on its own.
  env: { ORT_DISABLE_TELEMETRY: "1" },
  testTimeout: 60_000,
};

/** How many processes run tests, and what prints their results. */
export const run = { maxWorkers: 2, reporters: ["default", "./test/support/count-reporter.ts"] };

const house = "test/house/**/*.test.ts";

export default defineConfig({
  test: {
    ...run,
    projects: [
      { test: { ...shared, name: "src", exclude: ["**/node_modules/**", house] } },
      // They only read: modules, the compiler's among them, are loaded once for all of them.
      { test: { ...shared, name: "house", include: [house], isolate: false } },
    ],
  },
});
