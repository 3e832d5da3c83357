/** What the page of the browser test runs: the training of test/support/small-training.ts, on ONNX Runtime for browsers. */

import * as ort from "onnxruntime-web/webgpu";
import { webEngine } from "../../src/browser.ts";
import { lossesOn, smallNetwork, smallStep } from "../support/training/small-training.ts";

ort.env.wasm.wasmPaths = "/ort/";
ort.env.wasm.numThreads = 1;

/** Losses of some steps, and what the engine was found to execute. */
async function trainOn(device: "cpu" | "webgpu", preset: "float" | "lsq", steps: number) {
  const engine = webEngine(ort, { device });
  const losses = await lossesOn(engine, smallStep(smallNetwork(preset)), steps);
  return { target: await engine.target(), losses };
}

Object.assign(globalThis, { trainOn });
