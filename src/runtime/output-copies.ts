/**
 * Keeps onnxruntime-node from copying the outputs of a run.
 *
 * The package (1.30) copies every requested output into a new array, even after it has written the output into the
 * caller's buffer. For a training step this copies all of its state: 60 to 90 ms for 100 MB, and garbage until the next
 * collection. At the end of a run the package returns outputs in the graph's order, and it stops with a message of its own
 * at the first output that is no tensor. So the first output is an empty sequence, and that message marks the end of
 * the run; errors in a run have other messages. A small run tests once whether the package behaves like this; if it does
 * not, outputs are copied.
 */
import { newBuilder } from "../compile/registry.ts";
import { joined } from "../ir/data-bytes.ts";
import { filled, float32Data } from "../ir/tensor.ts";
import { emptySequenceOutput, writeOnnx } from "../onnx/write/write.ts";
import { add } from "../ops/families/elementwise.ts";
import type { OnnxRuntime, RunEnd } from "./onnx-runtime.ts";

const output = "subbyte.end_of_run";
const message = "Non tensor type is temporarily not supported.";

/** The output that comes first, at which the package stops. */
export const endOfRun: RunEnd = {
  output,
  isReached: (cause) => cause instanceof Error && cause.message === message,
};

/** Adds that output to a model, before its own. The model's standard operators must be of version 11 or later. */
export function withEndOfRun(model: Uint8Array): Uint8Array {
  return joined([emptySequenceOutput(output), model]);
}

let known: Promise<boolean> | undefined;

/** Whether this package writes all outputs into their buffers before it stops with the message. */
export function stopsAtSequences(runtime: OnnxRuntime): Promise<boolean> {
  known ??= tried(runtime).catch(() => false);
  return known;
}

async function tried({ InferenceSession, Tensor }: OnnxRuntime): Promise<boolean> {
  const builder = newBuilder("probe of outputs");
  const x = builder.input("x", { dtype: "float32", shape: [2] });
  builder.output("y", add(builder, x, x));
  const session = await InferenceSession.create(withEndOfRun(writeOnnx(builder.finish())), { logSeverityLevel: 3 });
  const y = filled([2], 0);
  const wrapped = new Tensor("float32", float32Data(y), [2]);
  const feeds = { x: new Tensor("float32", Float32Array.of(1, 2), [2]) };
  const ended = await session.run(feeds, { [output]: null, y: wrapped }).then(
    () => false,
    (cause: unknown) => endOfRun.isReached(cause),
  );
  await session.release();
  return ended && float32Data(y)[0] === 2 && float32Data(y)[1] === 4;
}
