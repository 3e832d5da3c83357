/**
 * The purpose of each node of a training step: the layer that it computes for, by its origin, and the kind of work that it
 * does, by the operator that it was lowered from.
 */
import { intAttribute } from "../ir/attributes.ts";
import type { Graph, Node } from "../ir/graph.ts";
import type { LayerId } from "../ir/origin.ts";
import type { OperatorWork } from "../ops/definition.ts";
import { macsOf } from "./layers.ts";
import { traitsOf } from "./registry.ts";

/** A kind of work of a training step. */
export type WorkKind = OperatorWork | "layers forward" | "data movement" | "optimizer" | "other";

/** The kinds of work of a training step, in the order in which they are shown. */
export const workKinds: readonly WorkKind[] = [
  "layers forward",
  "gradient of inputs",
  "gradient of weights",
  "normalization",
  "quantizers",
  "data movement",
  "optimizer",
  "other",
];

/** The layer and the kind of work that a node of a training step belongs to. */
/** The purpose of a node. */
export interface Work {
  /** The layer of the network; empty for what belongs to none (loss, input). */
  readonly layer: LayerId;
  readonly kind: WorkKind;
}

/** Returns what a node of a training step, lowered or not, is there for. */
export function workOf(node: Node): Work {
  const { layer = "" } = node.origin;
  return { layer, kind: traitsOf(node).movement === true ? "data movement" : kindOf(node.source ?? node) };
}

function kindOf(node: Node): WorkKind {
  if (node.origin.phase === "update") return "optimizer";
  const { work, layer } = traitsOf(node);
  if (work !== undefined) return work;
  if (layer === undefined) return "other";
  return node.origin.phase === "backward" ? gradientKind(node) : "layers forward";
}

/** The gradient of a matrix product is one too: that of the weight has the weight's shape, which has no batch. */
function gradientKind(node: Node): WorkKind {
  return intAttribute(node, "transA", 0) === 1 ? "gradient of weights" : "gradient of inputs";
}

/**
 * Floating-point operations (a multiplication and an addition are two) of what a training step multiplies, by what they
 * are for.
 */
export function floatOperations(graph: Graph): Map<WorkKind, number> {
  const totals = new Map<WorkKind, number>();
  for (const node of graph.nodes) {
    const operations = 2 * macsOf(node);
    if (operations === 0) continue;
    const kind = kindOf(node);
    totals.set(kind, (totals.get(kind) ?? 0) + operations);
  }
  return totals;
}
