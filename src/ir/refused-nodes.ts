/** Nodes that a command refuses, all of them at once: grouped by operator and reason, as errors and lists show them. */

import { UnsupportedError } from "../errors.ts";

/** A node, or a part that is no node, that something refuses. */
export interface RefusedPart {
  /** The operator as its node has it; absent for what is no node. */
  readonly op?: string;
  /** The name of the node or part. */
  readonly name: string;
  /** Why. */
  readonly message: string;
  /** The nearest thing that works, as a sentence. */
  readonly remedy?: string;
}

/** Parts of one operator that are refused for one reason. */
export interface RefusedGroup extends Omit<RefusedPart, "name"> {
  readonly names: readonly string[];
}

/** The most names of a group that an error lists. */
const mostNamed = 8;

/**
 * Returns the parts by operator and reason, in the order of their first.
 *
 * @example
 * console.log(refusedGroups(integerObstacles(network)).map(({ op, names }) => `${op}: ${names.length}`));
 */
export function refusedGroups(parts: readonly RefusedPart[]): RefusedGroup[] {
  const groups = new Map<string, Omit<RefusedPart, "name"> & { readonly names: string[] }>();
  for (const { name, ...reason } of parts) {
    const key = JSON.stringify([reason.op, reason.message]);
    const group = groups.get(key) ?? { ...reason, names: [] };
    group.names.push(name);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** `Softmax (a, b and 3 more): there is no integer form of Softmax`. @param most The most names; others are counted. */
export function groupText({ op, names, message }: RefusedGroup, most: number): string {
  const rest = names.length - most;
  const named = rest <= 0 ? names.join(", ") : `${names.slice(0, most).join(", ")} and ${rest} more`;
  return `${op === undefined ? named : `${op} (${named})`}: ${message}`;
}

/** Returns one line for each group, and below it the remedy where it is another than that of the group after it. */
export function groupLines(groups: readonly RefusedGroup[], most: number): string[] {
  return groups.flatMap((group, i) => {
    const isLast = group.remedy !== groups[i + 1]?.remedy;
    return [groupText(group, most), ...(isLast && group.remedy !== undefined ? [`  ${group.remedy}`] : [])];
  });
}

/**
 * Returns the error that lists all parts, with names, reasons and remedies.
 *
 * @param what What is wrong with them, after their number: `nodes have no gradient`.
 * @param remedy What to do about all of them; default: only what the parts say.
 */
export function refusedNodesError(
  what: string,
  parts: readonly RefusedPart[],
  { where, remedy }: { readonly where: string; readonly remedy?: string },
): UnsupportedError {
  const lines = groupLines(refusedGroups(parts), mostNamed).map((line) => `  ${line}`);
  const message = `${parts.length} ${what}:\n${lines.join("\n")}`;
  return new UnsupportedError(message, remedy === undefined ? { where } : { where, remedy });
}
