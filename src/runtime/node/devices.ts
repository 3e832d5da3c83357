/** Finds out which devices there are: for `--device`, and for programs that want an error with a remedy. */

import { statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { defined } from "../../base/defined.ts";
import { newBuilder } from "../../compile/registry.ts";
import { RuntimeError } from "../../errors.ts";
import { filled, float32Data } from "../../ir/tensor.ts";
import { writeOnnx } from "../../onnx/write/write.ts";
import { conv } from "../../ops/families/conv.ts";
import type { Device, DeviceChoice, Engine, EngineOptions } from "../engine.ts";
import { nodeEngine } from "./node.ts";

/** The device to open, and the engine's options. */
export interface DeviceOptions extends Pick<EngineOptions, "threads" | "modelCache"> {
  /** Default `cpu`. */
  readonly device?: DeviceChoice;
}

/**
 * The engine of a device that was seen to compute.
 *
 * @throws RuntimeError when the device is not there, with what would bring it.
 *
 * @example
 * const opened = await openEngine({ device: "auto", threads: 1 });
 * console.log(opened.device); // cpu, or the fastest that works
 */
export async function openEngine({ device = "cpu", ...options }: DeviceOptions = {}): Promise<Engine> {
  const on = (choice: Device): Engine => nodeEngine({ ...options, device: choice });
  if (device !== "auto") {
    // Looking for its library first keeps ONNX Runtime's own complaint from the terminal.
    if (device === "cuda" && !hasCudaProvider()) throw missing(device, "onnxruntime-node came without its CUDA parts");
    const engine = on(device);
    if (device !== "cpu") await check(engine);
    return engine;
  }
  if (hasCudaProvider() && (await trial(on("cuda"))) !== undefined) return on("cuda");
  const [gpu, cpu] = [await trial(on("webgpu")), await trial(on("cpu"))];
  return gpu !== undefined && cpu !== undefined && gpu < cpu ? on("webgpu") : on("cpu");
}

async function check(engine: Engine): Promise<void> {
  await measure(engine).catch((cause: unknown) => {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw missing(engine.device, firstSentence(message), cause);
  });
}

function missing(device: Device, reason: string, cause?: unknown): RuntimeError {
  return new RuntimeError(`there is no ${device} device that works here: ${reason}`, {
    where: `--device ${device}`,
    remedy: remedies[device],
    ...defined({ cause }),
  });
}

const remedies: Readonly<Record<Device, string>> = {
  cpu: "Reinstall onnxruntime-node: npm install onnxruntime-node.",
  webgpu:
    "Install a GPU driver with Vulkan (Linux; `vulkaninfo --summary` lists its devices), or use --device cpu. macOS and Windows have WebGPU's own.",
  cuda: "Install CUDA 12 and cuDNN 9, and ONNX Runtime's CUDA parts: `ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node` (Linux and x64 only). --device webgpu needs neither.",
};

/** ONNX Runtime's messages begin with places in its source and end with line breaks. */
function firstSentence(message: string): string {
  return (message.trim().split("\n")[0] ?? "").replace(/^.*(?:was false\. |refused the model: )/, "");
}

/** scripts/skip-cuda-download.mjs puts empty files in the places of those that were not downloaded. */
function hasCudaProvider(): boolean {
  const root = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  const file = join(root, "bin", "napi-v6", process.platform, process.arch, "libonnxruntime_providers_cuda.so");
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

async function trial(engine: Engine): Promise<number | undefined> {
  return measure(engine).catch((error: unknown) => {
    if (error instanceof RuntimeError) return undefined;
    throw error;
  });
}

/**
 * Milliseconds of a convolution of a middling layer, the fastest of three after a first one.
 *
 * @throws RuntimeError when the engine fails, or computes something else.
 */
async function measure(engine: Engine): Promise<number> {
  const [channels, size] = [32, 32];
  const builder = newBuilder("trial");
  const x = builder.input("x", { dtype: "float32", shape: [16, channels, size, size] });
  const weight = builder.input("weight", { dtype: "float32", shape: [channels, channels, 3, 3] });
  const y = conv(builder, x, weight, undefined, { pads: [1, 1, 1, 1] });
  builder.output("y", y);
  const session = await engine.createSession(writeOnnx(builder.finish()));
  const feeds = { x: filled(x.type.shape, 1), weight: filled(weight.type.shape, 0.5) };
  const result = filled(y.type.shape, 0);
  const times: number[] = [];
  for (let run = 0; run < 4; run++) {
    const start = performance.now();
    await session.run(feeds, { y: result });
    times.push(performance.now() - start);
  }
  await session.release();
  // In the middle of the image all 9·32 products of 1 and ½ are there.
  const middle = float32Data(result)[(size / 2) * size + size / 2];
  if (middle !== (9 * channels) / 2) throw new RuntimeError(`it computes ${middle} instead of ${(9 * channels) / 2}`);
  return Math.min(...times.slice(1));
}
