/** The proof of a converted network on random samples, for tests: ONNX Runtime and the interpreter. */
import { containerOf } from "../../src/convert/formats/containers.ts";
import { buildIntGraph } from "../../src/convert/formats/int.ts";
import { onnxRunner } from "../../src/convert/formats/run-onnx.ts";
import type { IntegerNetwork } from "../../src/convert/integer-network.ts";
import { type VerificationResult, verify } from "../../src/convert/verify.ts";
import { inMemoryDataset } from "../../src/data/dataset.ts";
import { float32Data, type Tensor } from "../../src/graph/tensor.ts";
import type { Engine } from "../../src/runtime/engine.ts";

/** @param interpretedSamples How many of the samples the interpreter runs; default: all. */
export async function provenOn(
  converted: IntegerNetwork,
  data: Tensor,
  engine: Engine,
  interpretedSamples?: number,
): Promise<VerificationResult> {
  const [samples = 0, ...sampleShape] = data.shape;
  const dataset = inMemoryDataset({
    name: "random",
    samples: float32Data(data),
    sampleShape,
    targets: new Int32Array(samples),
    target: { kind: "classes", classes: ["a"] },
  });
  const runner = await onnxRunner(
    "onnx int",
    converted,
    buildIntGraph(converted, { batchSize: samples, codes: true }),
    engine,
    (tensor) => containerOf(tensor.form, tensor.name).offset,
  );
  try {
    return await verify(converted, dataset, engine, {
      batchSize: samples,
      runners: [runner],
      ...(interpretedSamples === undefined ? {} : { interpretedSamples }),
    });
  } finally {
    await runner.release();
  }
}
