/**
 * Finds out what an engine executes, and whether it computes what it should.
 *
 * On the CPU: whether it has blocked convolutions, and with which block. They are an internal operator of ONNX Runtime, so
 * they are used only where this check, made once, agrees with the standard convolution. On WebGPU: whether a sum rounds
 * as float32 should, so that rounding can be built of sums.
 */

import { roundHalfEven } from "../base/rounding.ts";
import { lowerGraph } from "../compile/passes/lower.ts";
import { newBuilder, operators } from "../compile/registry.ts";
import { RuntimeError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import { filled, float32Data, float32Tensor, type Tensor } from "../ir/tensor.ts";
import { writeOnnx } from "../onnx/write/write.ts";
import { reorderInput } from "../ops/cpu/engine-operators.ts";
import type { Target } from "../ops/definition.ts";
import { conv } from "../ops/families/conv.ts";
import { round } from "../ops/families/elementwise.ts";
import { concat } from "../ops/families/shape/shape-ops.ts";
import { genericTarget, webGpuSumsTarget, webGpuTarget } from "../ops/targets.ts";
import { roundedWithin } from "../quantizers/arithmetic/round-codes.ts";
import type { Engine } from "./engine.ts";

/** The block sizes that ONNX Runtime uses: AVX-512, and the narrower vector units. */
const blockSizes = [16, 8, 4] as const;

/** The `cpu` target with the block that the engine was found to use, or `cpu` without blocks. */
export async function probeTarget(engine: Engine): Promise<Target> {
  for (const blockSize of blockSizes) {
    const target: Target = { name: "cpu", blockSize };
    if ((await reordersBy(engine, blockSize)) && (await convolvesCorrectly(engine, target))) return target;
  }
  return { name: "cpu", blockSize: 1 };
}

/** The target of ONNX Runtime's WebGPU provider; Round stays with the CPU where shaders were seen to round sums in another way. */
export async function probeWebGpuTarget(engine: Engine): Promise<Target> {
  return (await roundsCorrectly(engine, webGpuSumsTarget)) ? webGpuSumsTarget : webGpuTarget;
}

/** Whether the target's lowering of quantized rounding, and of Round, gives the nearest integers, halves to even. */
async function roundsCorrectly(engine: Engine, target: Target): Promise<boolean> {
  const values = Array.from({ length: 512 }, (_, i) => (i - 256) / 8 + (i % 3 === 0 ? 2 ** -16 : 0));
  const shape = [values.length];
  const x = float32Tensor(shape, values);
  const builder = newBuilder("probe of rounding");
  const input = builder.input("x", x);
  const limited = roundedWithin(builder, target, input, { low: -16, high: 15 });
  builder.output("y", concat(builder, [round(builder, input), limited], 0));
  const lowered = lowerGraph(builder.finish(), operators, target);
  const y = await runOnce(engine, lowered, { x }, [2 * values.length]);
  const expected = values.map((value) => roundHalfEven(Math.fround(value)));
  return (
    y !== undefined &&
    expected.every((value, i) => y[i] === value && y[i + values.length] === Math.min(Math.max(value, -16), 15))
  );
}

/** Whether ReorderInput interleaves this many channels: the second pixel of channel 0 follows them. */
async function reordersBy(engine: Engine, block: number): Promise<boolean> {
  const channels = 16;
  const builder = newBuilder("probe of the block size");
  const x = builder.input("x", { dtype: "float32", shape: [1, channels, 1, 2] });
  builder.output("y", reorderInput(builder, x));
  const image = float32Tensor(
    [1, channels, 1, 2],
    Array.from({ length: 2 * channels }, (_, i) => i),
  );
  const y = await runOnce(engine, builder.finish(), { x: image }, [1, channels, 1, 2]);
  // Block by block, pixel by pixel: channel c of pixel p is element 2c + p.
  const expected: number[] = [];
  for (let first = 0; first < channels; first += block) {
    for (const pixel of [0, 1]) for (let c = first; c < first + block; c++) expected.push(2 * c + pixel);
  }
  return y !== undefined && expected.every((value, i) => y[i] === value);
}

async function convolvesCorrectly(engine: Engine, target: Target): Promise<boolean> {
  const shape = [2, 2 * target.blockSize, 5, 6];
  const kernel = [target.blockSize, 2 * target.blockSize, 3, 3];
  const builder = newBuilder("probe of the blocked convolution");
  const x = builder.input("x", { dtype: "float32", shape });
  const weight = builder.input("weight", { dtype: "float32", shape: kernel });
  const y = conv(builder, x, weight, undefined, { pads: [1, 1, 1, 1], strides: [2, 1] });
  builder.output("y", y);
  const graph = builder.finish();
  // Small integers, so that any correct order of summation gives the same floats.
  const feeds = { x: smallIntegers(shape, 7), weight: smallIntegers(kernel, 5) };
  const [plain, blocked] = await Promise.all(
    [genericTarget, target].map((each) => runOnce(engine, lowerGraph(graph, operators, each), feeds, y.type.shape)),
  );
  return plain !== undefined && blocked !== undefined && plain.every((value, i) => value === blocked[i]);
}

function smallIntegers(shape: readonly number[], modulus: number): Tensor {
  const tensor = filled(shape, 0);
  const data = float32Data(tensor);
  for (let i = 0; i < data.length; i++) data[i] = ((i * 31 + (i >> 3)) % modulus) - (modulus >> 1);
  return tensor;
}

/** The output `y`, or undefined when the engine does not take the graph. */
async function runOnce(
  engine: Engine,
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  shape: readonly number[],
): Promise<Float32Array | undefined> {
  try {
    const session = await engine.createSession(writeOnnx(graph));
    const y = filled(shape, 0);
    await session.run(feeds, { y });
    await session.release();
    return float32Data(y);
  } catch (error) {
    if (error instanceof RuntimeError) return undefined;
    throw error;
  }
}
