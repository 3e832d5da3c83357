/** Measures a machine's speed at the two parts of a training step, with the engine itself. */
import { newBuilder } from "../compile/registry.ts";
import type { Graph, GraphBuilder, Value } from "../ir/graph.ts";
import { filled, type Tensor } from "../ir/tensor.ts";
import { writeOnnx } from "../onnx/write/write.ts";
import { add } from "../ops/families/elementwise.ts";
import { matmul } from "../ops/families/matmul.ts";
import type { Engine } from "./engine.ts";

/** Measured speeds of the machine. */
export interface MachineSpeed {
  /** Of a large matrix product in float32: floating-point operations in a second. */
  readonly operationsPerSecond: number;
  /** Of an addition of two tensors too large for the caches: bytes read and written in a second. */
  readonly bytesPerSecond: number;
}

const side = 1024;
const elements = 8 * 1024 * 1024;
const rounds = 5;

/** Measures for about a second. @throws RuntimeError when the engine fails. */
export async function measureMachineSpeed(engine: Engine): Promise<MachineSpeed> {
  const product = await fastest(engine, matmul, [side, side]);
  const sum = await fastest(engine, add, [elements]);
  return { operationsPerSecond: (2 * side ** 3) / product, bytesPerSecond: (3 * 4 * elements) / sum };
}

/** Builds one node of two inputs. */
type Operation = (builder: GraphBuilder, a: Value, b: Value) => Value;

/** Seconds of the fastest of several runs of one operator on two tensors of a shape. */
async function fastest(engine: Engine, operation: Operation, shape: readonly number[]): Promise<number> {
  const session = await engine.createSession(writeOnnx(graphOf(operation, shape)));
  const feeds: Record<string, Tensor> = { a: filled(shape, 1), b: filled(shape, 0.5) };
  const fetches: Record<string, Tensor> = { y: filled(shape, 0) };
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await session.run(feeds, fetches);
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  await session.release();
  return best;
}

function graphOf(operation: Operation, shape: readonly number[]): Graph {
  const builder = newBuilder("measurement of speed");
  const a = builder.input("a", { dtype: "float32", shape });
  const b = builder.input("b", { dtype: "float32", shape });
  builder.output("y", operation(builder, a, b));
  return builder.finish();
}
