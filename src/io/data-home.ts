/** Where data sets that were fetched are kept. */
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * The folder that fetched data sets are kept in: SUBBYTE_DATA, else subbyte's folder in the user's cache.
 * Not the working directory: the same 30 MB serve every project.
 */
export function dataHome(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  if (environment.SUBBYTE_DATA) return environment.SUBBYTE_DATA;
  const cache = environment.XDG_CACHE_HOME || environment.LOCALAPPDATA || join(homedir(), ".cache");
  return join(cache, "subbyte");
}
