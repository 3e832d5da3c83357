/** What a rule that rewrites nodes is. */

import type { Attributes } from "../../ir/graph.ts";
import type { Emitter } from "../emitter.ts";
import type { Slot, SourceNode } from "../slots.ts";

/** Another node in place of one, or the slots that stand for its outputs. */
export type Upgrade = (e: Emitter, node: SourceNode) => SourceNode | readonly (Slot | undefined)[];

/** The node's attributes without some. */
export function without(attributes: Attributes, ...names: readonly string[]): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !names.includes(name)));
}
