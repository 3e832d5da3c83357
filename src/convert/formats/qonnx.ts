/**
 * The integer network in QONNX: standard operators on float tensors of small integers, with Quant and BipolarQuant nodes that say
 * which integers they are (https://github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops).
 *
 * The tensors hold codes, so every Quant has scale 1 and zero point 0, and executing the graph gives the same codes as the
 * integers do. What a code stands for in real numbers lies in the multipliers between them.
 */

import { operators } from "../../compile/registry.ts";
import type { Graph, GraphBuilder, Value } from "../../ir/graph.ts";
import { writeOnnx } from "../../onnx/write/write.ts";
import { builderFor, makeRegistry, type OperatorDefinition, requiredInput } from "../../ops/definition.ts";
import { clip } from "../../ops/families/activations.ts";
import { add } from "../../ops/families/elementwise.ts";
import { bipolarQuantOperator, quantOperator } from "../../ops/file-operators.ts";
import { buildFormulaGraph, type FormulaConfig } from "../formula-graph.ts";
import { bitsFor, type IntegerNetwork } from "../integer-network.ts";
import type { FormatDefinition } from "./definition.ts";

const { domain } = quantOperator;

const quantOperators: readonly OperatorDefinition[] = [quantOperator, bipolarQuantOperator].map((record) => ({
  op: record.op,
  domain,
  infer: (call) => [requiredInput(call, 0)],
}));

const registry = makeRegistry([...operators.values()], quantOperators);

/** Returns round(x), limited to the integers of the range. */
function quant(builder: GraphBuilder, x: Value, range: { readonly low: number; readonly high: number }): Value {
  const inputs = [x, builder.scalar(1), builder.scalar(0), builder.scalar(bitsFor(range))];
  const attributes = { signed: range.low < 0 ? 1 : 0, narrow: 0, rounding_mode: "ROUND" };
  return builder.one(quantOperator.op, inputs, attributes, { domain });
}

/** Whether a range is all integers of its bits, so that Quant alone limits to it. */
function isWhole({ low, high }: { readonly low: number; readonly high: number }): boolean {
  const bits = bitsFor({ low, high });
  return low < 0 ? low === -(2 ** (bits - 1)) && high === 2 ** (bits - 1) - 1 : low === 0 && high === 2 ** bits - 1;
}

/** The network for a batch of a fixed size. */
export function buildQonnxGraph(network: IntegerNetwork, config: FormulaConfig): Graph {
  const builder = builderFor(registry, `${network.name} qonnx`);
  return buildFormulaGraph(network, config, builder, {
    parameter: (b, name, tensor) => b.constant(tensor, name),
    weight: (b, codes, { low, high, levels }) =>
      levels.length === 2 && levels[0] === -1 && levels[1] === 1
        ? b.one(bipolarQuantOperator.op, [codes, b.scalar(1)], {}, { domain })
        : quant(b, codes, { low, high }),
    round(b, t, { zeroPoint }, limits) {
      const range = { low: limits.low - zeroPoint, high: limits.high - zeroPoint };
      const limited = isWhole(range) ? t : clip(b, t, range.low, range.high);
      const centred = quant(b, limited, range);
      return zeroPoint === 0 ? centred : add(b, centred, zeroPoint);
    },
  }).graph;
}

/** Quant and BipolarQuant on codes. */
export const qonnxFormat: FormatDefinition = {
  name: "qonnx",
  files(network, { batchSize }) {
    const bytes = writeOnnx(buildQonnxGraph(network, { batchSize, tail: false }), { domains: { [domain]: 1 } });
    return [{ name: "model.qonnx.onnx", parts: [bytes] }];
  },
};
