import "./telemetry.ts";

import { freemem } from "node:os";
import * as ort from "onnxruntime-node";
import { defined } from "../../base/defined.ts";
import type { Target } from "../../ops/definition.ts";
import { genericTarget } from "../../ops/targets.ts";
import { DeviceMemory } from "../device-memory.ts";
import type { Engine, EngineOptions, EngineSession, SessionOptions } from "../engine.ts";
import { openSession } from "../onnx-runtime.ts";
import { endOfRun, stopsAtSequences, withEndOfRun } from "../output-copies.ts";
import { probeTarget, probeWebGpuTarget } from "../probe.ts";
import { type CachedModel, cachedModel } from "./model-cache.ts";
import { telemetryOff } from "./telemetry.ts";

const engines = new Map<string, Engine>();

/**
 * The engine of a device; engines with equal options are one. Whether the device is there shows when it is first used:
 * `openEngine` (devices.ts) looks before, and says what is missing.
 *
 * @example
 * const cpu = nodeEngine({ threads: 2 });
 * console.log(cpu.device); // cpu
 */
export function nodeEngine(options: EngineOptions = {}): Engine {
  const { device = "cpu", threads = 0, profilePrefix, modelCache } = options;
  const key = JSON.stringify([device, threads, profilePrefix, modelCache]);
  const known = engines.get(key);
  if (known !== undefined) return known;
  let target: Promise<Target> | undefined;
  const createSession = async (
    given: Uint8Array,
    { kept = [], disableGraphRewrites = false, skipOutputCopy: maySkip = false }: SessionOptions = {},
  ): Promise<EngineSession> => {
    await telemetryOff();
    const skipOutputCopy = maySkip && device === "cpu" && (await stopsAtSequences(ort));
    const source = skipOutputCopy ? withEndOfRun(given) : given;
    const cached =
      modelCache === undefined || device !== "cpu"
        ? undefined
        : await cachedModel(
            modelCache,
            source,
            `onnxruntime-node ${ort.env.versions.node}${disableGraphRewrites ? " as written" : ""}`,
          );
    const open = (model: Uint8Array, optimization: CachedModel["options"]) =>
      openSession(ort, model, {
        session: {
          ...optimization,
          executionProviders: [device],
          ...(threads === 0 ? {} : { intraOpNumThreads: threads }),
          ...(profilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
        },
        kept,
        disableGraphRewrites,
        ...(skipOutputCopy ? { end: endOfRun } : {}),
        // A run on another device writes copies of the buffers that it is given.
        writesInPlace: device === "cpu",
        read: (tensor) => memory.read(tensor),
      });
    if (cached === undefined) return open(source, {});
    const session = await open(cached.model, cached.options).catch(() => undefined);
    await (session === undefined ? cached.drop() : cached.keep());
    // A full disk or a damaged file makes the engine refuse what it would take without them.
    return session ?? open(source, {});
  };
  const memory = new DeviceMemory(createSession);
  const engine: Engine = {
    name: "onnxruntime-node",
    ...defined({ version: ort.env.versions.node }),
    device,
    createSession,
    ...(device === "cpu" ? { freeMemory } : {}),
    // Its CUDA provider cannot bind outputs to the device from JavaScript.
    ...(device === "webgpu" ? { keep: (tensor) => memory.keep(tensor) } : {}),
    target: () => {
      target ??= targetFor(engine);
      return target;
    },
  };
  engines.set(key, engine);
  return engine;
}

function targetFor(engine: Engine): Promise<Target> {
  if (engine.device === "cpu") return probeTarget(engine);
  return engine.device === "webgpu" ? probeWebGpuTarget(engine) : Promise.resolve(genericTarget);
}

/** Of the machine, or of the container where that has a limit. */
function freeMemory(): number {
  // Node.js 20.13 and later know of containers; os.freemem counts what caches hold as taken.
  return "availableMemory" in process ? process.availableMemory() : freemem();
}
