/**
 * Finds the nodes of a file that are calls of one module, which has one bias and one set of statistics.
 *
 * Exporters store equal tensors once, so two layers whose biases are still zero name the same tensor without being one
 * module. Calls of one module have all tensors in common, and among those a trained or random one.
 */

import type { ConstantSlot, Slot } from "../../ops/rewrite/slots.ts";
import { canBeParameter } from "../parameters.ts";

interface Module {
  readonly op: string;
  readonly slots: readonly (ConstantSlot | undefined)[];
  readonly owner: object;
}

/** The modules of a file, each with the first node that calls it. */
export class Owners {
  readonly #modules = new Map<ConstantSlot, Module[]>();

  /**
   * Returns the node that the parameters of a node belong to: itself, or the first one that calls the same module.
   *
   * @param node The node of the file.
   */
  of(
    node: object,
    call: { readonly op: string; readonly domain: string },
    inputs: readonly (Slot | undefined)[],
  ): object {
    const slots = inputs.map((slot, index) =>
      slot?.kind === "constant" && slot.stored && canBeParameter(call, index) ? slot : undefined,
    );
    const distinct = slots.find((slot) => slot !== undefined && isVaried(slot));
    if (distinct === undefined) return node;
    const modules = this.#modules.get(distinct) ?? [];
    this.#modules.set(distinct, modules);
    const same = modules.find(
      ({ op, slots: others }) =>
        op === call.op && others.length === slots.length && others.every((slot, i) => slot === slots[i]),
    );
    if (same !== undefined) return same.owner;
    modules.push({ op: call.op, slots, owner: node });
    return node;
  }
}

/** Whether the elements differ; a default that an exporter stored once has one number everywhere. */
function isVaried({ tensor: { data } }: ConstantSlot): boolean {
  const first = data[0];
  return Array.prototype.some.call(data, (value: unknown) => value !== first);
}
