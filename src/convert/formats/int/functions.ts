/**
 * Tables of codes as the function that they tabulate: DequantizeLinear, the function in float, QuantizeLinear. ONNX Runtime computes that
 * several times as fast as a Gather, and fuses some of them (QLinearSigmoid, QLinearLeakyRelu). It is used only where every code of the table
 * comes out, and none lies so near to a border that the rounding of a float could move it: then it does not depend on the machine.
 */
import type { AttributeSource } from "../../../ir/attributes.ts";
import type { GraphBuilder, Value } from "../../../ir/graph.ts";
import {
  type FunctionOfOne,
  geluOfOne,
  hardSigmoidOfOne,
  hardSwishOfOne,
  leakyReluOfOne,
  sigmoidOfOne,
  tanhOfOne,
} from "../../../ops/build/functions-of-one.ts";
import { gelu, hardSigmoid, hardSwish, leakyRelu, sigmoid, tanh } from "../../../ops/families/activations.ts";
import { multiply } from "../../../ops/families/elementwise.ts";
import { dequantizeLinear, quantizeLinear } from "../../../ops/families/quantize-linear.ts";
import { valuesOfCodes } from "../../grid.ts";
import type { IntegerTensor, TableCodes, TensorForm } from "../../integer-network.ts";
import type { Container } from "../containers.ts";
import { byte, limited } from "./codes.ts";

/** The distance from a border, in steps, that a float32 function may be off. */
const margin = 2 ** -13;

/** A function as its value in float64 and as nodes. */
interface TabulatedFunction {
  readonly of: (x: number) => number;
  readonly build: (b: GraphBuilder, x: Value) => Value;
}

function known(
  ofOne: FunctionOfOne,
  build: TabulatedFunction["build"],
  attributes: AttributeSource["attributes"] = {},
): TabulatedFunction {
  const source: AttributeSource = { op: "function", name: "function", attributes };
  return { of: ofOne(source), build };
}

const sigmoidOf = sigmoidOfOne({ op: "function", name: "function", attributes: {} });

const functions: readonly TabulatedFunction[] = [
  known(sigmoidOfOne, sigmoid),
  known(hardSigmoidOfOne, (b, x) => hardSigmoid(b, x), { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }),
  known(hardSwishOfOne, hardSwish),
  { of: (x) => x * sigmoidOf(x), build: (b, x) => multiply(b, x, sigmoid(b, x)) },
  ...[0.01, 0.1, 0.2].map((alpha) =>
    known(leakyReluOfOne, (b, x) => leakyRelu(b, x, alpha), { alpha: { float: alpha } }),
  ),
  known(tanhOfOne, tanh),
  known(geluOfOne, (b, x) => gelu(b, x)),
  known(geluOfOne, (b, x) => gelu(b, x, "tanh"), { approximate: "tanh" }),
];

/** A tensor of codes, and how they are stored. */
interface StoredCodes {
  readonly tensor: IntegerTensor;
  readonly container: Container;
}

/** Returns the codes of a table by the function that it tabulates; undefined where it is none of the known ones, or not surely the same. */
export function functionOfCodes(
  b: GraphBuilder,
  codes: Value,
  { table, tables }: TableCodes,
  input: StoredCodes,
  output: StoredCodes,
): Value | undefined {
  if (tables > 1 || !isPlainByte(input) || !isPlainByte(output)) return undefined;
  const values = valuesOfCodes(input.tensor.form);
  const found = functions.find(({ of }) => isSurely(of, values, table, output.tensor.form));
  if (found === undefined) return undefined;
  const [from, to] = [input, output].map(({ tensor: { form }, container }) => ({
    scale: b.scalar(form.scale),
    zeroPoint: byte(b, form.zeroPoint + container.offset),
  }));
  if (from === undefined || to === undefined) return undefined;
  const x = dequantizeLinear(b, codes, from.scale, { zeroPoint: from.zeroPoint });
  const y = quantizeLinear(b, found.build(b, x), to.scale, { zeroPoint: to.zeroPoint });
  return limited(b, y, output.container, output.tensor.form);
}

function isPlainByte({ tensor: { form }, container }: StoredCodes): boolean {
  const zeroPoint = form.zeroPoint + container.offset;
  const isPlain = form.kind === "codes" && form.levels === undefined && (form.offset ?? 0) === 0;
  return isPlain && container.dtype === "uint8" && zeroPoint >= 0 && zeroPoint <= 255;
}

/** Whether a function gives every code of a table, and would with a float32's error. */
function isSurely(
  of: TabulatedFunction["of"],
  values: Float64Array,
  table: Float64Array,
  { scale, zeroPoint, low, high }: TensorForm,
): boolean {
  const codeOf = (t: number): number => Math.min(Math.max(Math.round(t) + zeroPoint, low), high);
  return values.every((value, i) => {
    const t = of(value) / scale;
    return codeOf(t - margin) === table[i] && codeOf(t + margin) === table[i];
  });
}
