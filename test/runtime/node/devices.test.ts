/** Devices that are not there: an error that says what would bring them, or the next best one. @alone */

import { describe, expect, it } from "vitest";
import { RuntimeError, SubbyteError } from "../../../src/errors.ts";
import { openEngine } from "../../../src/runtime/node/devices.ts";

/** No Vulkan driver at all, whatever this machine has. */
process.env.VK_ICD_FILENAMES = "/nowhere/icd.json";

async function refusal(device: "webgpu" | "cuda"): Promise<SubbyteError> {
  try {
    await openEngine({ device, threads: 1 });
  } catch (error) {
    if (error instanceof SubbyteError) return error;
    throw error;
  }
  throw new Error(`${device} should not be there`);
}

describe("devices of ONNX Runtime for Node.js", () => {
  it("are the CPU by default", async () => {
    expect((await openEngine()).device).toBe("cpu");
  });

  it.runIf(process.platform === "linux")("are refused with a remedy: WebGPU without a driver", async () => {
    const error = await refusal("webgpu");
    expect(error).toBeInstanceOf(RuntimeError);
    expect(error.message).toMatch(/no webgpu device/);
    expect(error.remedy).toMatch(/Vulkan/);
  });

  it("are refused with a remedy: CUDA without its libraries", async ({ skip }) => {
    const error = await refusal("cuda").catch((reason: Error) => reason);
    skip(!(error instanceof RuntimeError), "CUDA is installed here");
    expect(error).toHaveProperty("message", expect.stringMatching(/no cuda device/));
    // Asked for its library, the engine would write to the terminal by itself.
    expect(error).not.toHaveProperty("message", expect.stringMatching(/OrtSessionOptions/));
    expect(error).toHaveProperty("remedy", expect.stringMatching(/ONNXRUNTIME_NODE_INSTALL=cuda12/));
  });

  it.runIf(process.platform === "linux")("fall back to the CPU with auto", async ({ skip }) => {
    const { device } = await openEngine({ device: "auto", threads: 1 });
    skip(device === "cuda", "CUDA is installed here");
    expect(device).toBe("cpu");
  });
});
