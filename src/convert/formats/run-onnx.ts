/** Runs a converted ONNX graph for comparison. */
import type { Graph } from "../../ir/graph.ts";
import { allocate, makeTensor, type Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { writeOnnx } from "../../onnx/write/write.ts";
import type { Engine } from "../../runtime/engine.ts";
import type { IntegerNetwork, IntegerTensor } from "../integer-network.ts";
import { CodeReader, type ConvertedRunner } from "../prove/verify.ts";
import { feedsOf } from "./feeds.ts";

/** A graph whose outputs are named as the network's, tensors of codes by codeOutput. */
export async function onnxRunner(
  name: string,
  network: IntegerNetwork,
  graph: Graph,
  engine: Engine,
  offsetOf: (tensor: IntegerTensor) => number,
): Promise<ConvertedRunner> {
  const session = await engine.createSession(writeOnnx(graph));
  const results: Record<string, Tensor> = {};
  for (const { name: output, value } of graph.outputs) {
    const { dtype, shape } = value.type;
    results[output] = makeTensor(dtype, shape, allocate(dtype, elementCount(shape)));
  }
  const codes = new CodeReader(network, offsetOf);
  return {
    name,
    async run(batch) {
      await session.run(feedsOf(network, batch), results);
      return codes.read(results);
    },
    release: () => session.release(),
  };
}
