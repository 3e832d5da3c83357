/** Operators that have no record: looked for before anything is read, so that a user sees all of them at once. */

import { nearestWord } from "../base/nearest-word.ts";
import { operators } from "../compile/registry.ts";
import { onnxDomain } from "../ir/graph.ts";
import { type RefusedPart, refusedNodesError } from "../ir/refused-nodes.ts";
import type { FileBody, FileNode } from "../onnx/read/file.ts";
import { operatorKey } from "../ops/definition.ts";
import { fileOperators, loopOperator } from "../ops/file-operators.ts";
import { remedyWithout } from "../ops/refused-operators.ts";
import { isOf, recordOf } from "./records.ts";

/** @throws UnsupportedError that lists every node whose operator is not known, by operator, with the nearest thing that works. */
export function refuseUnknownOperators(graph: FileBody, source: string): void {
  const nodes = unknownNodes(graph);
  if (nodes.length === 0) return;
  const one = nodes.length === 1;
  throw refusedNodesError(one ? "node has an operator that subbyte does not know" : unknown, nodes.map(refusal), {
    where: source,
    remedy: "docs/OPS.md lists the operators that it knows; replace these, or export the model without them.",
  });
}

const unknown = "nodes have operators that subbyte does not know";

/** The nodes without a record. Branches are not searched: only the one that is taken is read. */
function unknownNodes({ nodes }: FileBody): FileNode[] {
  return nodes.flatMap((node) => {
    if (recordOf(node) === undefined) return [node];
    if (!isOf(loopOperator, node)) return [];
    return [...node.attributes.values()].flatMap((attribute) =>
      typeof attribute === "object" && "subgraph" in attribute ? unknownNodes(attribute.subgraph) : [],
    );
  });
}

function refusal(node: FileNode): RefusedPart {
  const { op, domain, name } = node;
  const key = operatorKey(domain, op);
  const message = `subbyte does not know the operator ${key}`;
  const remedy = remedyWithout(node) ?? nearest(op);
  return { op: key, name, message, ...(remedy === undefined ? {} : { remedy }) };
}

/** The operator of the standard domain with the most similar name. */
function nearest(op: string): string | undefined {
  const records = [...operators.values(), ...fileOperators.values()];
  const known = nearestWord(
    op,
    records.filter(({ domain }) => domain === onnxDomain).map((record) => record.op),
  );
  return known === undefined ? undefined : `The operator with the most similar name that it knows is ${known}.`;
}
