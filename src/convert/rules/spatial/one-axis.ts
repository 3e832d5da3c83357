/** Layers and pools over one spatial axis: they are those over two of which the first has one element. */

import type { Shape } from "../../../ir/types.ts";
import type { Rearranged, Symbolic } from "../../assembly/symbolic.ts";
import type { WindowGeometry } from "../../integer-network.ts";
import { nodeShape, type RuleContext } from "../rule.ts";

/** [N, C, L] → [N, C, 1, L]; [N, C] → [N, C, 1, 1]. */
export function withTwoAxes([batch = 1, channels = 1, length = 1]: Shape): Shape {
  return [batch, channels, 1, length];
}

/** A window along one axis as one along the second of two. */
export function windowOverTwo({ kernel, strides, dilations, pads }: WindowGeometry): WindowGeometry {
  const [before = 0, after = 0] = pads;
  return {
    kernel: [1, ...kernel],
    strides: [1, ...strides],
    dilations: [1, ...dilations],
    pads: [0, before, 0, after],
  };
}

/** A value in another shape that has the same channels and the same order of elements. */
export function viewed(name: string, value: Symbolic, shape: Shape): Rearranged {
  return {
    kind: "rearranged",
    name,
    shape,
    inputs: [value],
    isView: true,
    make: ([input = 0], output) => ({ op: "ReshapeCodes", name, input, output }),
  };
}

/** The value of a node's input with two spatial axes: codes at once, other values as they get codes. */
export function overTwoAxes({ assembly, node }: RuleContext, value: Symbolic): Symbolic {
  return assembly.rearranged(viewed(`${node.name}.axes`, value, withTwoAxes(value.shape)));
}

/** What a node over one axis gives: a value with two in the shape of its output. */
export function overOneAxis({ assembly, node }: RuleContext, value: Symbolic): Symbolic {
  return assembly.rearranged(viewed(node.name, value, nodeShape(node)));
}
