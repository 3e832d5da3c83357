/** The tests of the inner loop: all but those that train, start processes or browsers (test/support/slow-tests.ts). */

import { defineConfig, mergeConfig } from "vitest/config";
import { slowTests } from "./test/support/slow-tests.ts";
import base from "./vitest.config.ts";

export default mergeConfig(
  base,
  // Loading every module again for each file takes more time than the tests. `npm test` does it, so that no test leans on another.
  defineConfig({ test: { exclude: ["**/node_modules/**", ...slowTests()], isolate: false } }),
);
