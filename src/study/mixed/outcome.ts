/** The outcome of a choice of bits: for each layer, and measured as a whole. */
import type { Network } from "../../ir/network.ts";
import { type LayerBitsByName, withFixedRanges, withLayerBits } from "./config.ts";
import type { MeasuredProblem, MeasureParts } from "./measure.ts";
import { QuantizedSubject } from "./sensitivity.ts";
import { costOf, type MixAssignment, type MixCost, predictedIncrease } from "./solve.ts";

/** A layer of the network with its bits. */
export interface MixedLayerBits {
  readonly layer: string;
  readonly weights: number;
  readonly macs: number;
  /** Bits that the codes need; 32 in float. */
  readonly weightBits: number;
  readonly activationBits: number;
  /** Whether it kept the bits that the configuration gives it. */
  readonly isKept: boolean;
  /** Loss increase of its weights and of its input, each alone; null where it kept its bits. */
  readonly increase: { readonly weights: number; readonly activations: number } | null;
  readonly bytes: number;
  readonly bitOperations: number;
}

/** A whole configuration: what it costs and what it is predicted and measured to lose before it is trained. */
export interface MixOutcome extends MixCost {
  /** "mixed", or the bits of a uniform configuration: `W3A3`. */
  readonly name: string;
  readonly predicted: number;
  readonly measured: number;
}

/** Measures a whole configuration with every quantizer at work, those of the kept layers included. */
export async function outcome(
  parts: MeasureParts,
  problem: MeasuredProblem,
  name: string,
  assignment: MixAssignment,
): Promise<MixOutcome> {
  const asked = withLayerBits(withFixedRanges(parts.config), bitsByName(problem, assignment));
  const network = await parts.networks.quantized(asked);
  const subject = await QuantizedSubject.create(network, parts.subject.reference, parts);
  try {
    const measured = await subject.measure(() => true);
    const predicted = problem.keptIncrease + predictedIncrease(assignment);
    return { name, ...costOf(problem, assignment), predicted, measured };
  } finally {
    await subject.release();
  }
}

/** The bits of each free layer. */
export function bitsByName({ layers }: MeasuredProblem, { weights, activations }: MixAssignment): LayerBitsByName {
  return new Map(
    layers.map(({ name, activation }, index) => [
      name,
      { weightBits: weights[index]?.bits ?? 0, activationBits: activations[activation]?.bits ?? 0 },
    ]),
  );
}

/** Every layer with its bits, in the order of the network. */
export function mixedLayers(
  float: Network,
  problem: MeasuredProblem,
  { weights, activations }: MixAssignment,
): MixedLayerBits[] {
  const chosen = problem.layers.flatMap((layer, index): MixedLayerBits[] => {
    const [weight, activation] = [weights[index], activations[layer.activation]];
    if (weight === undefined || activation === undefined) return [];
    return [
      {
        layer: layer.name,
        weights: layer.weights,
        macs: layer.macs,
        weightBits: weight.codeBits,
        activationBits: activation.codeBits,
        isKept: false,
        increase: { weights: weight.increase, activations: activation.increase },
        bytes: weight.bytes,
        bitOperations: layer.macs * weight.codeBits * activation.codeBits,
      },
    ];
  });
  const kept = problem.keptLayers.map(({ name, weights: count, macs, weight, activation, bytes, bitOperations }) => ({
    layer: name,
    weights: count,
    macs,
    weightBits: weight.bits,
    activationBits: activation.bits,
    isKept: true,
    increase: null,
    bytes,
    bitOperations,
  }));
  const all = new Map([...chosen, ...kept].map((layer) => [layer.layer, layer]));
  return float.graph.nodes.flatMap(({ name }) => all.get(name) ?? []);
}
