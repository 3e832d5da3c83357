/** Targets whose operators are known without asking the engine. */

import type { MissingOperator, Target } from "./definition.ts";

/** The target that every engine executes: the standard opset only. */
export const genericTarget: Target = { name: "generic", blockSize: 1 };

/** What ONNX Runtime's WebGPU provider leaves to the CPU as of version 1.30, and the indices of maxima, which it has not at all. */
const missingOnWebGpu: readonly MissingOperator[] = ["OneHot", "LogSoftmax", "MaxPoolIndices"];

/** The target of ONNX Runtime's WebGPU provider; Round stays with the CPU. */
export const webGpuTarget: Target = { ...genericTarget, lacks: missingOnWebGpu };

/** The target of ONNX Runtime's WebGPU provider where its shaders round sums as float32 does: Round is built of sums. */
export const webGpuSumsTarget: Target = { ...genericTarget, lacks: ["Round", ...missingOnWebGpu] };
