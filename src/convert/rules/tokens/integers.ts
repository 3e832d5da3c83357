/** What follows from whole numbers that enter the network, as whole numbers again: masks, counts of tokens. */

import { rowMajorStrides } from "../../../ir/types.ts";
import type { Affine, Codes, Symbolic } from "../../assembly/symbolic.ts";
import { summingProducer, type TensorForm } from "../../integer-network.ts";
import { nodeShape, type RuleContext } from "../rule.ts";

/** Tables of more numbers are not made. */
const mostNumbers = 2 ** 16;

function integerForm(low: number, high: number): TensorForm {
  return { kind: "integers", low, high, scale: 1, zeroPoint: 0 };
}

/** A value as whole numbers; undefined where it is something else, or follows from more than numbers. */
export function asIntegers(context: RuleContext, value: Symbolic): Codes | undefined {
  const { assembly } = context;
  switch (value.kind) {
    case "codes":
      return assembly.tensor(value.tensor).form.kind === "integers" ? value : undefined;
    case "tabled": {
      const isOfIntegers = assembly.tensor(value.tensor).form.kind === "integers";
      const [low, high] = [Math.min(...value.values), Math.max(...value.values)];
      if (!isOfIntegers || !value.values.every(Number.isInteger) || high - low >= mostNumbers) return undefined;
      return assembly.codes(assembly.realize(value, integerForm(low, high), `${value.name}.numbers`));
    }
    case "affine":
      return isCount(context, value)
        ? assembly.codes(assembly.realize(value, boundsOf(context, value), `${value.name}.numbers`))
        : undefined;
    case "rearranged": {
      const inputs = value.inputs.flatMap((input) => asIntegers(context, input) ?? []);
      if (inputs.length < value.inputs.length) return undefined;
      const made = assembly.rearranged({ ...value, inputs });
      return made.kind === "codes" ? made : undefined;
    }
    default:
      return undefined;
  }
}

/** Whether a sum is one of whole numbers, as it stands. */
function isCount({ assembly }: RuleContext, { terms, offset }: Affine): boolean {
  const [term] = terms;
  const producer = term === undefined ? undefined : summingProducer(assembly, term.tensor);
  if (term === undefined || terms.length > 1 || producer?.op !== "SumPool") return false;
  const isWhole = assembly.tensor(producer.input).form.kind === "integers";
  return (
    isWhole && term.inputScale === 1 && term.gains.every((gain) => gain === 1) && offset.every((each) => each === 0)
  );
}

function boundsOf({ assembly }: RuleContext, { terms }: Affine): TensorForm {
  const { low, high } = assembly.tensor(terms[0]?.tensor ?? -1).form;
  return integerForm(low, high);
}

/** Codes in the shape of the node's output, axes of one element being repeated. */
export function repeatedCodes({ assembly, node }: RuleContext, { tensor, shape }: Codes): number {
  const target = nodeShape(node);
  if (shape.join() === target.join()) return tensor;
  const { form } = assembly.tensor(tensor);
  const strides = rowMajorStrides(shape);
  const places = target
    .map((size, axis) =>
      Int32Array.from({ length: size }, (_, i) => ((shape[axis] ?? 1) === 1 ? 0 : i * (strides[axis] ?? 1))),
    )
    .slice(1);
  const name = `${node.name}.repeated`;
  return assembly.add(name, target, form, (output) => ({
    op: "MoveCodes",
    name,
    input: tensor,
    output,
    places,
    fill: form.zeroPoint,
  }));
}
