/** The place of the repository that the tests are in. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that package.json lies in. */
export const repositoryRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
