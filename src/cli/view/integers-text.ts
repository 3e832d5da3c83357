/** Whether a network converts to integers, in lines. */

import type { IntegerObstacle } from "../../convert/obstacles.ts";

/** Obstacles of one operator with one message. */
interface ObstacleGroup {
  readonly message: string;
  readonly names: string[];
  readonly op?: string;
}

function groupsOf(obstacles: readonly IntegerObstacle[]): ObstacleGroup[] {
  const groups = new Map<string, ObstacleGroup>();
  for (const { op, name, message } of obstacles) {
    const key = JSON.stringify([op, message]);
    const group = groups.get(key) ?? { message, names: [], ...(op === undefined ? {} : { op }) };
    group.names.push(name);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function groupText({ op, names, message }: ObstacleGroup, { verbose = false }: { readonly verbose?: boolean }): string {
  const [first = "", ...others] = names;
  const named = verbose || others.length === 0 ? names.join(", ") : `${first} and ${others.length} more`;
  return `${op === undefined ? named : `${op} (${named})`}: ${message}`;
}

/**
 * One line for a network that converts; for another one each operator that is refused, with the node that it was first met
 * at. `verbose`: with all nodes.
 */
export function integerLines(
  obstacles: readonly IntegerObstacle[],
  options: { readonly verbose?: boolean } = {},
): string[] {
  const groups = groupsOf(obstacles);
  if (groups.length === 0) return ["integers: yes"];
  const [first, ...rest] = groups.map((group) => groupText(group, options));
  return [`integers: no, ${first}`, ...rest.map((text) => `              ${text}`)];
}

/** The sentence that warns before a training; undefined for a network that converts. */
export function integerWarning(obstacles: readonly IntegerObstacle[]): string | undefined {
  const [first, ...rest] = groupsOf(obstacles);
  if (first === undefined) return undefined;
  const more = rest.length === 0 ? "" : `; and ${rest.length} more, listed by --dry-run`;
  return `the trained network will not convert to integers: ${groupText(first, {})}${more}`;
}
