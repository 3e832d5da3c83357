/** The records of the operators of files, also of those that networks do not have. */

import { operators } from "../compile/registry.ts";
import type { Node } from "../ir/graph.ts";
import { type FileOperator, findDefinition, type OperatorRecord, operatorKey } from "../ops/definition.ts";
import { fileOperators } from "../ops/file-operators.ts";

type OperatorName = Pick<Node, "op" | "domain">;

/** By the keys under which files write them in other domains. */
const aliases: ReadonlyMap<string, OperatorRecord> = new Map(
  [...operators.values(), ...fileOperators.values()].flatMap((record) =>
    (record.aliases ?? []).map((domain) => [operatorKey(domain, record.op), record] as const),
  ),
);

/** The record of an operator, under whatever domain a file writes it; undefined where there is none. */
export function recordOf(node: OperatorName): OperatorRecord | undefined {
  const key = operatorKey(node.domain, node.op);
  return findDefinition(operators, node) ?? fileOperators.get(key) ?? aliases.get(key);
}

/** Whether a node is of the operator of a record. */
export function isOf(record: FileOperator, node: OperatorName): boolean {
  return recordOf(node) === record;
}
