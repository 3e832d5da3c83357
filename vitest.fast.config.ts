/** The tests of the inner loop: all but those that train, start processes or browsers (test/support/slow-tests.ts). */

import { defineConfig } from "vitest/config";
import { lonelyTests, slowTests } from "./test/support/slow-tests.ts";
import { run, shared } from "./vitest.config.ts";

const slow = ["**/node_modules/**", ...slowTests()];
const alone = lonelyTests();
/** Fewer random networks than `npm test` compares. */
const env = { ...shared.env, SUBBYTE_CONVERT_RUNS: "3" };

export default defineConfig({
  test: {
    ...run,
    projects: [
      // Loading every module again for each file takes more time than the tests. `npm test` does it.
      { test: { ...shared, name: "together", env, exclude: [...slow, ...alone], isolate: false } },
      { test: { ...shared, name: "alone", include: alone, exclude: slow } },
    ],
  },
});
