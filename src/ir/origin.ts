/** The origin of a node: the layer of the network that it computes for, and the phase of a training step. */

/**
 * Names a layer of a network in the widest sense: a convolution, a normalization, an activation, an addition. Unique within
 * the network.
 */
export type LayerId = string;

/**
 * The parts of a training step. `forward` is the network, with the normalization of its data and its observers; `loss` is
 * all that scores its output, a teacher too; `backward` are the gradients; `update` is what makes the next state of them.
 */
export type Phase = "forward" | "loss" | "backward" | "update";

/** The layer and the phase that a node belongs to. */
export interface Origin {
  /** Absent: the node computes for no layer (the loss, arithmetic between layers). */
  readonly layer?: LayerId;
  readonly phase: Phase;
  /**
   * The time step, where the layer is written out over time. Nodes of one name at several steps are one: what is kept for
   * them, as their quantizers, is kept once.
   */
  readonly step?: number;
}

/** Returns the origin of nodes that compute for a layer in a phase, or for none. */
export function originOf(phase: Phase, layer: LayerId | undefined): Origin {
  return layer === undefined ? { phase } : { layer, phase };
}
