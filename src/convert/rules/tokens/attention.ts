/** Rules of attention: the product of two activations, and softmax. */

import { roundHalfEven } from "../../../base/rounding.ts";
import { intAttribute } from "../../../ir/attributes.ts";
import { toNumbers } from "../../../ir/tensor.ts";
import { axisSampleFirst, sampleFirst } from "../../assembly/sample-shape.ts";
import {
  type Affine,
  type AffineTerm,
  type Codes,
  type Constant,
  channelsOf,
  type Masked,
  type Symbolic,
  uniformSum,
} from "../../assembly/symbolic.ts";
import type { TensorForm } from "../../integer-network.ts";
import { centredReach } from "../../ranges.ts";
import { nodeShape, type RuleContext, symbolicInput, unsupported } from "../rule.ts";
import { withValues } from "./embedding.ts";

/** Fractional bits of the exponentials: as exact as float32, in which the simulation computes them. */
const exponentialBits = 22;

/** Codes, and what they are. */
interface CodesRead {
  readonly codes: Codes;
  readonly form: TensorForm;
}

/** The codes of an input. @throws UnsupportedError where it has none. */
export function codesRead(context: RuleContext, value: Symbolic): CodesRead {
  const { assembly, node } = context;
  const codes = assembly.readyCodes(value);
  const form = codes === undefined ? undefined : assembly.tensor(codes.tensor).form;
  if (codes === undefined || form?.kind !== "codes") {
    throw unsupported(
      node,
      `its input "${value.name}" is not quantized`,
      "Train with --set quantization.residualBits=8, or convert with --residual-bits 8.",
    );
  }
  return { codes, form };
}

/** A matrix product of two activations: both have codes, and each has a zero point of its own. */
export function productOfActivations(context: RuleContext): Affine {
  const { assembly, node } = context;
  const [a, b] = [codesRead(context, symbolicInput(context, 0)), codesRead(context, symbolicInput(context, 1))];
  const shape = nodeShape(node);
  if (a.codes.shape.length !== shape.length || b.codes.shape.length !== shape.length) {
    throw unsupported(node, "its factors have different numbers of axes");
  }
  const inner = a.codes.shape.at(-1) ?? 1;
  const channels = channelsOf(shape);
  const term = (first: number, second: number): AffineTerm => {
    const forms = [assembly.tensor(first).form, assembly.tensor(second).form] as const;
    const reach = inner * centredReach(forms[0]) * centredReach(forms[1]);
    const sums: TensorForm = { kind: "accumulator", low: -reach, high: reach, scale: 1, zeroPoint: 0 };
    const tensor = assembly.add(node.name, shape, sums, (output) => ({
      op: "IntegerMatMul",
      name: node.name,
      inputs: [first, second],
      output,
    }));
    const inputScale = Math.fround(forms[0].scale * forms[1].scale);
    return { tensor, inputScale, gains: new Float64Array(channels).fill(1) };
  };
  // (v₁·s₁ + β₁)(v₂·s₂ + β₂): an offset is the code of a constant tensor.
  const factors = ({ codes }: { readonly codes: Codes }): number[] => {
    const offset = assembly.offsetCodes(codes.tensor);
    return offset === undefined ? [codes.tensor] : [codes.tensor, offset];
  };
  return {
    kind: "affine",
    name: node.name,
    shape,
    axis: 1,
    terms: factors(a).flatMap((first) => factors(b).map((second) => term(first, second))),
    offset: new Float64Array(channels),
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  };
}

/** Softmax of codes: a table of exponentials, and one division. */
export function softmaxRule(context: RuleContext): Affine {
  const { assembly, node } = context;
  const x = symbolicInput(context, 0);
  const { codes, form } = codesRead(context, x.kind === "masked" ? x.scores : x);
  const { shape } = codes;
  const axis = axisSampleFirst(node.outputs[0]?.type.shape ?? [], intAttribute(node, "axis", -1));
  const table = Int32Array.from({ length: form.high - form.low + 1 }, (_, step) =>
    roundHalfEven(2 ** exponentialBits * Math.exp(-step * form.scale)),
  );
  const { name } = node;
  const quotients: TensorForm = { kind: "quotient", low: 0, high: 1, scale: 1, zeroPoint: 0 };
  const inputs = x.kind === "masked" ? ([codes.tensor, x.mask] as const) : ([codes.tensor] as const);
  const tensor = assembly.add(name, shape, quotients, (output) => ({
    op: "SoftmaxCodes",
    name,
    inputs,
    output,
    axis,
    table,
  }));
  return uniformSum({ name, shape }, { tensor, inputScale: 1 });
}

const maskForm: TensorForm = { kind: "codes", low: 0, high: 1, scale: 1, zeroPoint: 0 };

/** Scores that a value made of token numbers keeps where it is `of` them: 1 or 0. Undefined where the value is no mask. */
export function maskedByTokens(
  context: RuleContext,
  scores: Symbolic,
  mask: Symbolic,
  of: (values: Float64Array) => Float64Array | undefined,
): Masked | undefined {
  const { assembly, node } = context;
  const kept = withValues(context, mask, of);
  if (kept === undefined) return undefined;
  const shape = nodeShape(node);
  const made = assembly.realize(kept, maskForm, `${node.name}.mask`);
  const own = assembly.tensor(made).shape;
  const aligned = [1, ...shape.slice(1).map(() => 1), ...own.slice(1)].slice(-shape.length).with(0, 1);
  const name = `${node.name}.mask`;
  const isAligned = own.length === shape.length;
  const reshaped = isAligned
    ? made
    : assembly.add(name, aligned, maskForm, (output) => ({ op: "ReshapeCodes", name, input: made, output }));
  return { kind: "masked", name: node.name, shape, scores, mask: reshaped };
}

/** Scores of which a constant keeps some: 1 where it does. */
export function maskedByConstant(
  { assembly, node }: RuleContext,
  scores: Symbolic,
  mask: Constant,
  keeps: (number: number) => boolean,
): Masked {
  const shape = sampleFirst(mask.shape);
  const aligned = [...nodeShape(node).map(() => 1), ...shape.slice(1)].slice(-nodeShape(node).length);
  const codes = Int32Array.from(toNumbers(mask.tensor), (number) => Number(keeps(number)));
  const { name } = mask;
  const made = assembly.add(name, aligned, maskForm, (output) => ({ op: "ConstantCodes", name, output, codes }));
  return { kind: "masked", name: node.name, shape: nodeShape(node), scores, mask: made };
}
