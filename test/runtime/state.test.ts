/** State whose newest values lie on a device, with a device of this test's own. */

import { describe, expect, it } from "vitest";
import { GraphError } from "../../src/errors.ts";
import { filled, toNumbers } from "../../src/ir/tensor.ts";
import type { DeviceTensor } from "../../src/runtime/engine.ts";
import { StateBuffers } from "../../src/runtime/state.ts";

/** A tensor on the device that notes when it is read and released. */
function onDevice(value: number, log: string[] = []): DeviceTensor {
  const { dtype, shape } = filled([2], value);
  return {
    dtype,
    shape,
    read: () => {
      log.push(`read ${value}`);
      return Promise.resolve(filled([2], value));
    },
    release: () => log.push(`release ${value}`),
  };
}

describe("state on a device", () => {
  it("is not read here before it has been brought back", async () => {
    const state = new StateBuffers([["w", filled([2], 1)]]);
    const tensor = onDevice(2);
    state.hold("w", tensor, true);
    expect(() => state.get("w")).toThrow(GraphError);
    expect(() => state.snapshot()).toThrow(GraphError);
    expect(state.feed("w")).toBe(tensor);
    await state.toHost();
    expect(toNumbers(state.get("w"))).toEqual([2, 2]);
    // The device's copy is still the same, and may be fed.
    expect(state.feed("w")).toBe(tensor);
  });

  it("is brought back once, and only where it is newer", async () => {
    const log: string[] = [];
    const state = new StateBuffers([
      ["w", filled([2], 1)],
      ["frozen", filled([2], 5)],
    ]);
    state.hold("frozen", onDevice(5, log), false);
    state.hold("w", onDevice(2, log), true);
    expect(toNumbers(state.get("frozen"))).toEqual([5, 5]);
    await state.toHost();
    await state.toHost();
    expect(log).toEqual(["read 2"]);
  });

  it("releases what is replaced", async () => {
    const log: string[] = [];
    const state = new StateBuffers([["w", filled([2], 1)]]);
    state.hold("w", onDevice(2, log), true);
    state.hold("w", onDevice(3, log), true);
    expect(log).toEqual(["release 2"]);
    state.set("w", filled([2], 4));
    expect(log).toEqual(["release 2", "release 3"]);
    expect(toNumbers(state.get("w"))).toEqual([4, 4]);
    expect(state.isOnDevice("w")).toBe(false);
  });

  it("leaves the device with its newest values", async () => {
    const log: string[] = [];
    const state = new StateBuffers([["w", filled([2], 1)]]);
    state.hold("w", onDevice(2, log), true);
    await state.leaveDevice();
    expect(log).toEqual(["read 2", "release 2"]);
    expect(toNumbers(state.get("w"))).toEqual([2, 2]);
  });
});
