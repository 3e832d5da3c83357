/** Training in a page of headless Chromium, on WebAssembly and on WebGPU (in software): the losses of Node.js on the CPU. */
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { chromiumPath, noChromium, type OpenPage, openPage } from "../support/machine/chromium.ts";
import { lossesOn, smallNetwork, smallStep } from "../support/training/small-training.ts";

const steps = 8;
let opened: Promise<OpenPage> | undefined;

/** One page for all tests: Chromium and ONNX Runtime take seconds to start. */
function thePage(): Promise<OpenPage> {
  opened ??= openPage(fileURLToPath(new URL("page.ts", import.meta.url)));
  return opened;
}

afterAll(async () => {
  await (await opened)?.close();
});

interface Result {
  readonly target: { readonly name: string; readonly blockSize: number };
  readonly losses: readonly number[];
}

describe("training in a browser", () => {
  it.for([
    ["cpu", "cpu"],
    ["webgpu", "generic"],
  ] as const)("gives the CPU's losses at W4A4 on %s", async ([device, target], { skip }) => {
    skip(chromiumPath === undefined, noChromium);
    const expected = await lossesOn(nodeEngine({ threads: 1 }), smallStep(smallNetwork("lsq")), steps);
    const { page, errors } = await thePage();
    const call = `trainOn(${JSON.stringify(device)}, "lsq", ${steps})`;
    const result = await page.evaluate<Result>(call).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${errors.join("\n")}`);
    });
    // WebAssembly has no blocked convolutions: the probe must have found that out.
    expect(result.target).toMatchObject({ name: target, blockSize: 1 });
    expect(result.losses).toHaveLength(steps);
    result.losses.forEach((loss, i) => {
      expect(Math.abs(loss - (expected[i] ?? Number.NaN)), `step ${i + 1}: ${loss} and ${expected[i]}`).toBeLessThan(
        1e-3,
      );
    });
    expect(result.losses.at(-1)).toBeLessThan(result.losses[0] ?? 0);
  });
});
