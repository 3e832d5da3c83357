/**
 * Allow-lists: what still breaks a rule, as one line `COUNT KEY` each, which may only shrink.
 *
 * A count that is too high is tolerated, so that removing a breach needs no change of the list. Keys that no longer
 * exist leave their allowance to keys that are new, so that renaming, moving and splitting a file needs no change either.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "../../support/repository.ts";
import type { Breach } from "./project.ts";

/** How often each key may break the rule. */
export type Allowance = ReadonlyMap<string, number>;

/** The path of a list inside the repository. */
export function listPath(name: string): string {
  return `test/house/allowed/${name}.txt`;
}

/** Reads the lines `COUNT KEY`; lines that begin with # say what is counted. @throws Error at any other line. */
export function parseAllowance(text: string, name = "list"): Allowance {
  const allowed = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const match = /^(\d+) (\S.*)$/.exec(line);
    const [, count, key] = match ?? [];
    if (count === undefined || key === undefined) throw new Error(`${listPath(name)}: no line "COUNT KEY": ${line}`);
    // Git merges these lists by keeping the lines of both sides (.gitattributes).
    allowed.set(key, Math.max(allowed.get(key) ?? 0, Number(count)));
  }
  return allowed;
}

export function readAllowance(name: string): Allowance {
  return parseAllowance(readFileSync(join(repositoryRoot, listPath(name)), "utf8"), name);
}

/** How many breaches each key has. */
export function countByKey(breaches: readonly Breach[]): Allowance {
  const counts = new Map<string, number>();
  for (const { key } of breaches) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** The sum of all counts. */
export function total(allowance: Allowance): number {
  return [...allowance.values()].reduce((sum, count) => sum + count, 0);
}

/**
 * What is beyond the list, as sentences that name the line to change; empty when the rule holds.
 *
 * @param exists Whether a key still names something; the allowance of keys that do not goes to keys not in the list.
 */
export function excess(
  name: string,
  breaches: readonly Breach[],
  allowed: Allowance,
  exists: (key: string) => boolean,
): string[] {
  const counts = countByKey(breaches);
  let free = total(new Map([...allowed].filter(([key]) => !exists(key))));
  return [...counts].flatMap(([key, count]) => {
    const limit = allowed.get(key);
    if (limit === undefined && count <= free) {
      free -= count;
      return [];
    }
    if (count <= (limit ?? 0)) return [];
    const places = breaches.filter((breach) => breach.key === key).map((breach) => `    ${breach.text}`);
    const line = limit === undefined ? `has no line for it` : `says "${limit} ${key}"`;
    return [
      `${key}: ${count} where ${limit ?? 0} are allowed. Remove ${count - (limit ?? 0)} of these; ${listPath(name)} ${line}.\n` +
        `    If they only moved here from another file, run "npm run house:shrink", which refuses when the total grows.\n` +
        places.join("\n"),
    ];
  });
}

/** The text of a list: its leading comment, then the counts, sorted by key. */
export function formatAllowance(comment: string, counts: Allowance): string {
  const lines = [...counts]
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, count]) => `${count} ${key}\n`);
  return `# ${comment}\n${lines.join("")}`;
}

/** Writes a list with the present counts. @throws Error when the total would grow and `grow` is not set. */
export function shrinkList(name: string, comment: string, breaches: readonly Breach[], grow = false): string {
  const counts = countByKey(breaches);
  const before = total(readAllowance(name));
  const after = total(counts);
  if (after > before && !grow) throw new Error(`${listPath(name)} would grow from ${before} to ${after}`);
  writeFileSync(join(repositoryRoot, listPath(name)), formatAllowance(comment, counts));
  return `${name}: ${before} -> ${after}`;
}
