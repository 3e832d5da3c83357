/** The version of subbyte itself, from its package.json. */

import { readFileSync } from "node:fs";

/** `0.1.0`. Works from the sources and from the built files, which lie equally deep. */
export function packageVersion(): string {
  const content: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const isPackage = typeof content === "object" && content !== null && "version" in content;
  return isPackage && typeof content.version === "string" ? content.version : "unknown";
}
