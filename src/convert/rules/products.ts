/** The rule of a product of two activations. */

import { type Affine, type AffineTerm, channelsOf, type Symbolic } from "../assembly/symbolic.ts";
import { floatBound } from "../ranges.ts";
import { nodeShape, type RuleContext, unsupported } from "./rule.ts";
import { repeatedCodes } from "./tokens/integers.ts";

const remedy =
  "Train with --set quantization.residualBits=8, or convert with --residual-bits 8: a product needs codes of both factors.";

/**
 * The product of two values that have codes, in wide codes: what follows is folded into its requantization. With offsets
 * (v₁·s₁ + β₁)(v₂·s₂ + β₂) the factors themselves are summands too.
 */
export function multipliedCodes(context: RuleContext, a: Symbolic, b: Symbolic): Affine {
  const { assembly, node } = context;
  const [first, second] = [assembly.readyCodes(a), assembly.readyCodes(b)];
  if (first === undefined || second === undefined) {
    throw unsupported(
      node,
      "there is no integer form of a product of two activations that are not both quantized",
      remedy,
    );
  }
  const shape = nodeShape(node);
  if (first.shape.length !== shape.length || second.shape.length !== shape.length) {
    throw unsupported(node, "its factors have different numbers of axes");
  }
  const forms = [assembly.tensor(first.tensor).form, assembly.tensor(second.tensor).form] as const;
  const [left, right] = forms;
  const ends = forms.map(({ low, high, zeroPoint }) => [low - zeroPoint, high - zeroPoint]);
  const products = (ends[0] ?? []).flatMap((x) => (ends[1] ?? []).map((y) => x * y));
  const reach = Math.max(...products.map(Math.abs));
  if (reach >= floatBound) {
    throw unsupported(
      node,
      `its products could reach ${reach}, beyond 2^24, the largest exact integer of float32`,
      "Give its factors fewer bits.",
    );
  }
  const scale = Math.fround(left.scale * right.scale);
  const form = { kind: "wide", low: Math.min(...products), high: Math.max(...products), scale, zeroPoint: 0 } as const;
  const made = assembly.add(node.name, shape, form, (output) => ({
    op: "MultiplyCodes",
    name: node.name,
    inputs: [first.tensor, second.tensor],
    output,
  }));
  const channels = channelsOf(shape);
  const [offsetA, offsetB] = [left.offset ?? 0, right.offset ?? 0];
  const term = (tensor: number, inputScale: number, gain: number): AffineTerm => ({
    tensor,
    inputScale,
    gains: new Float64Array(channels).fill(gain),
  });
  return {
    kind: "affine",
    name: node.name,
    shape,
    axis: 1,
    terms: [
      term(made, scale, 1),
      ...(offsetB === 0 ? [] : [term(repeatedCodes(context, first), left.scale, offsetB)]),
      ...(offsetA === 0 ? [] : [term(repeatedCodes(context, second), right.scale, offsetA)]),
    ],
    offset: new Float64Array(channels).fill(offsetA * offsetB),
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  };
}
