/** Type rules of the ONNX operators that only converted networks use. */
import type { OperatorCall } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/types.ts";
import { convGeometry, convOutputSizes } from "../../ops/build/conv-geometry.ts";
import {
  makeRegistry,
  type OperatorDefinition,
  type OperatorRegistry,
  requiredInput,
  typeError,
} from "../../ops/definition.ts";
import { standardOperators } from "../../ops/index.ts";

function convolved(call: OperatorCall, x: TensorType, weight: TensorType, dtype: TensorType["dtype"]): TensorType {
  const [batch = 0, channels = 0, ...spatial] = x.shape;
  const [outChannels = 0, inChannels = 0, ...kernel] = weight.shape;
  const geometry = convGeometry(call, x.shape, kernel);
  if (channels !== inChannels * geometry.group) throw typeError(call, "the channels do not fit the weight");
  return { dtype, shape: [batch, outChannels, ...convOutputSizes(spatial, kernel, geometry)] };
}

const integerOnly: readonly OperatorDefinition[] = [
  {
    op: "ConvInteger",
    domain: "",
    infer: (call) => [convolved(call, requiredInput(call, 0), requiredInput(call, 1), "int32")],
  },
  {
    op: "QLinearConv",
    domain: "",
    infer: (call) => [convolved(call, requiredInput(call, 0), requiredInput(call, 3), requiredInput(call, 7).dtype)],
  },
  {
    op: "MatMulInteger",
    domain: "",
    infer: (call) => {
      const [rows = 0] = requiredInput(call, 0).shape;
      const [, columns = 0] = requiredInput(call, 1).shape;
      return [{ dtype: "int32", shape: [rows, columns] }];
    },
  },
];

/** The standard operators and those for integers. */
export const integerOperators: OperatorRegistry = makeRegistry([...standardOperators.values()], integerOnly);
