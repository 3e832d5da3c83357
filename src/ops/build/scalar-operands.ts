/**
 * Operators of a tensor and a number, where the tensor ends in axes of one element, as the weights of a 1x1 convolution
 * do: ONNX Runtime 1.30 broadcasts the number along the last axis, element by element, at fifty to ninety times the time
 * of the same tensor without these axes.
 */
import { onnxDomain, type Value } from "../../ir/graph.ts";
import { elementCount, type Shape, sameShape } from "../../ir/types.ts";
import type { LoweringContext } from "../definition.ts";
import { reshape } from "../families/shape/shape-ops.ts";

const broadcasting = new Set("Add Sub Mul Div Pow Min Max Equal Greater GreaterOrEqual Less LessOrEqual".split(" "));

/** Smaller tensors are not worth the two views. */
const leastElements = 512;

/** The node's output by way of a view without the last axes; undefined where the node stays as it is. */
export function arrangeScalarOperand(context: LoweringContext): readonly Value[] | undefined {
  const { builder, node, inputs, target } = context;
  const [a, b, ...others] = inputs;
  const shape = node.outputs[0]?.type.shape;
  if (target.name !== "cpu" || node.domain !== onnxDomain || !broadcasting.has(node.op)) return undefined;
  if (shape?.at(-1) !== 1 || elementCount(shape) < leastElements) return undefined;
  if (a === undefined || b === undefined || others.length > 0) return undefined;
  const isNumber = (value: Value) => elementCount(value.type.shape) === 1;
  const isWhole = (value: Value) => sameShape(value.type.shape, shape);
  if (!(isWhole(a) && isNumber(b)) && !(isNumber(a) && isWhole(b))) return undefined;
  const short = withoutLastOnes(shape);
  const operands = [a, b].map((value) => {
    if (isNumber(value)) return reshape(builder, value, []);
    // Between two such operators the view of the first is undone by that of the second.
    const producer = builder.producerOf(value);
    const [source] = producer?.op === "Reshape" ? producer.inputs : [];
    return source !== undefined && sameShape(source.type.shape, short) ? source : reshape(builder, value, short);
  });
  return [reshape(builder, builder.one(node.op, operands, node.attributes), shape)];
}

function withoutLastOnes(shape: Shape): Shape {
  const last = shape.findLastIndex((size) => size !== 1);
  return shape.slice(0, last + 1);
}
