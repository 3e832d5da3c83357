/**
 * The operators that multiply codes, which converted files consist of. Networks are never built of them: all but
 * MatMulInteger are absent from the standard operators, so the importer refuses them.
 */

import { type OperatorCall, onnxDomain } from "../ir/graph.ts";
import type { TensorType } from "../ir/types.ts";
import { convGeometry, convOutputSizes } from "./build/conv-geometry.ts";
import {
  makeRegistry,
  type OperatorDefinition,
  type OperatorRegistry,
  requiredInput,
  typeError,
} from "./definition.ts";
import { matmulIntegerOperator, productShape } from "./families/matmul.ts";
import { standardOperators } from "./index.ts";

function convolved(call: OperatorCall, x: TensorType, weight: TensorType, dtype: TensorType["dtype"]): TensorType {
  const [batch = 0, channels = 0, ...spatial] = x.shape;
  const [outChannels = 0, inChannels = 0, ...kernel] = weight.shape;
  const geometry = convGeometry(call, x.shape, kernel);
  if (channels !== inChannels * geometry.group) throw typeError(call, "the channels do not fit the weight");
  return { dtype, shape: [batch, outChannels, ...convOutputSizes(spatial, kernel, geometry)] };
}

/** The type of the codes that an operator makes whose zero point is input 7. */
function outputDtype(call: OperatorCall): TensorType["dtype"] {
  return requiredInput(call, 7).dtype;
}

/** Sums of products of centred codes over windows, in int32. */
export const convIntegerOperator: OperatorDefinition = {
  op: "ConvInteger",
  domain: onnxDomain,
  infer: (call) => [convolved(call, requiredInput(call, 0), requiredInput(call, 1), "int32")],
  traits: { comparable: true },
};

/** A convolution of codes with its requantization. */
export const qlinearConvOperator: OperatorDefinition = {
  op: "QLinearConv",
  domain: onnxDomain,
  infer: (call) => [convolved(call, requiredInput(call, 0), requiredInput(call, 3), outputDtype(call))],
  traits: { comparable: true },
};

/** A matrix product of codes with its requantization. */
export const qlinearMatmulOperator: OperatorDefinition = {
  op: "QLinearMatMul",
  domain: onnxDomain,
  infer: (call) => [
    {
      dtype: outputDtype(call),
      shape: productShape(call, requiredInput(call, 0).shape, requiredInput(call, 3).shape),
    },
  ],
  traits: { comparable: true },
};

/** The operators that multiply codes. */
export const integerProducts: OperatorRegistry = makeRegistry([
  convIntegerOperator,
  qlinearConvOperator,
  qlinearMatmulOperator,
  matmulIntegerOperator,
]);

/** The standard operators and those that multiply codes. */
export const integerOperators: OperatorRegistry = makeRegistry(
  [...standardOperators.values()],
  [...integerProducts.values()],
);
