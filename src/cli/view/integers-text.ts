/** Whether a network converts to integers, in lines. */

import type { IntegerObstacle } from "../../convert/obstacles.ts";
import { groupLines, groupText, refusedGroups } from "../../ir/refused-nodes.ts";

/** The nodes of a group that are named unless all are asked for. */
export const mostNamed = 3;

/**
 * One line for a network that converts; for another one each operator that is refused, with the first of its nodes and what to do;
 * `verbose`: with all nodes.
 */
export function integerLines(
  obstacles: readonly IntegerObstacle[],
  options: { readonly verbose?: boolean } = {},
): string[] {
  const groups = refusedGroups(obstacles);
  if (groups.length === 0) return ["integers: yes"];
  const [first, ...rest] = groupLines(groups, options.verbose === true ? Number.POSITIVE_INFINITY : mostNamed);
  return [`integers: no, ${first}`, ...rest.map((text) => `              ${text}`)];
}

/** The sentence that warns before a training; undefined for a network that converts. */
export function integerWarning(obstacles: readonly IntegerObstacle[]): string | undefined {
  const [first, ...rest] = refusedGroups(obstacles);
  if (first === undefined) return undefined;
  const more = rest.length === 0 ? "" : `; and ${rest.length} more, listed by --dry-run`;
  return `the trained network will not convert to integers: ${groupText(first, 1)}${more}`;
}
