/** The rule of normalization within a sample: layers, groups and instances. */

import { toNumbers } from "../../../ir/tensor.ts";
import type { SampleNormalization } from "../../../ops/definition.ts";
import { axisSampleFirst } from "../../assembly/sample-shape.ts";
import { channelsOf, type Symbolic, uniformSum } from "../../assembly/symbolic.ts";
import type { TensorForm } from "../../integer-network.ts";
import { linear } from "../linear-map.ts";
import { nodeShape, type RuleContext, symbolicInput, unsupported } from "../rule.ts";
import { codesRead } from "./attention.ts";

/** In fixed point a longer row's numerators leave 64 bits. */
const longestRow = 2 ** 16 - 1;

/** x̂·γ + β, x̂ being the quotient of two numbers that integers give. */
export function normalizationRule(context: RuleContext, normalization: SampleNormalization): Symbolic {
  const { assembly, node } = context;
  const { size, isCentred, axis: own } = normalization;
  const { codes, form } = codesRead(context, symbolicInput(context, 0));
  if (size > longestRow) throw unsupported(node, `it normalizes ${size} elements together; ${longestRow} have a form`);
  if (!isCentred && form.offset !== undefined) {
    throw unsupported(
      node,
      "the codes of its input have an offset, and it keeps the mean",
      "Train with offset: false.",
    );
  }
  const { name } = node;
  const shape = nodeShape(node);
  // Of unit variance: no element is further from 0 than √D.
  const reach = Math.sqrt(size);
  const quotients: TensorForm = { kind: "quotient", low: -reach, high: reach, scale: 1, zeroPoint: 0 };
  const epsilon = Math.max(Math.fround(normalization.epsilon * (size / form.scale) ** 2), leastEpsilon);
  const tensor = assembly.add(name, shape, quotients, (output) => ({
    op: "NormalizeCodes",
    name,
    input: codes.tensor,
    output,
    size,
    isCentred,
    epsilon,
  }));
  const axis = axisSampleFirst(node.outputs[0]?.type.shape ?? [], own);
  const normal = uniformSum({ name, shape, axis }, { tensor, inputScale: 1 });
  const gain = parameterNumbers(context, 1, axis);
  const offset = parameterNumbers(context, 2, axis);
  return linear(context, normal, { axis, gain: gain ?? [1], offset: offset ?? [0] });
}

/** So that a row of equal codes is 0 and no division is by 0. */
const leastEpsilon = 2 ** -100;

/** The scale or the offset: one number, or one for each channel. */
function parameterNumbers(context: RuleContext, index: number, axis: number): number[] | undefined {
  const value = context.inputs[index];
  if (value === undefined) return undefined;
  if (value.kind !== "constant") throw unsupported(context.node, `its input ${index} is computed`);
  const numbers = toNumbers(value.tensor);
  if (numbers.length !== 1 && numbers.length !== channelsOf(nodeShape(context.node), axis)) {
    throw unsupported(context.node, "its parameters differ within a channel");
  }
  return numbers;
}
