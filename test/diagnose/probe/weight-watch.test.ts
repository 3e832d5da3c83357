import { describe, expect, it } from "vitest";
import { quantizerSite } from "../../../src/compile/sites.ts";
import { WeightWatch } from "../../../src/diagnose/probe/weight-watch.ts";
import type { Parameter } from "../../../src/ir/network.ts";
import { float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";

const parameter: Parameter = {
  name: "conv1.weight",
  role: "weight",
  trainable: true,
  value: float32Tensor([4], [0, 0, 3, 4]),
};
const site = quantizerSite({
  id: "conv1.weight.quantizer",
  kind: "weight",
  layer: "conv1",
  tensor: "conv1.weight",
  parameter: "conv1.weight",
  spec: { quantizer: "lsq", bits: 4, quantMin: -8, quantMax: 7, options: {} },
  parameters: { scale: "conv1.weight.quantizer.scale" },
  states: {},
});

function stateOf(values: readonly number[]): { get(name: string): Tensor } {
  return {
    get: (name) => (name === "conv1.weight" ? float32Tensor([4], values) : float32Tensor([], [1])),
  };
}

describe("weights watched over a few steps", () => {
  it("counts codes that change, and those that turn back", () => {
    const watch = new WeightWatch([parameter], [site]);
    // Codes: the first goes up and down again, the second up and up, the others stay.
    for (const values of [
      [0.4, 0, 3, 4],
      [0.6, 1, 3, 4],
      [0.4, 2, 3, 4],
    ]) {
      watch.see(stateOf(values));
    }
    const measured = watch.measure(stateOf([0.4, 2, 3, 4])).get("conv1.weight");
    expect(measured?.flipRate).toBeCloseTo((2 / 4 + 2 / 4) / 2);
    expect(measured?.oscillatingShare).toBe(1 / 4);
  });

  it("measures how far weights move, in their own size and in steps of the grid", () => {
    const watch = new WeightWatch([parameter], [site]);
    watch.see(stateOf([0, 0, 3, 4]));
    watch.see(stateOf([0.5, 0, 3, 4]));
    const measured = watch.measure(stateOf([0.5, 0, 3, 4])).get("conv1.weight");
    expect(measured?.update).toBeCloseTo(0.5 / 5);
    expect(measured?.updateInSteps).toBeCloseTo(0.125);
    expect(measured?.distance).toBeCloseTo(0.5 / 5);
    expect(measured?.norm).toBeCloseTo(Math.hypot(0.5, 3, 4));
  });

  it("knows nothing before two steps were seen, and nothing of codes in float", () => {
    const watch = new WeightWatch([parameter], []);
    watch.see(stateOf([0, 0, 3, 4]));
    expect(watch.measure(stateOf([0, 0, 3, 4])).get("conv1.weight")?.update).toBeNaN();
    watch.see(stateOf([0, 0, 3, 4]));
    const measured = watch.measure(stateOf([0, 0, 3, 4])).get("conv1.weight");
    expect(measured?.update).toBe(0);
    expect(measured?.flipRate).toBeNaN();
    watch.reset();
    watch.see(stateOf([9, 9, 9, 9]));
    expect(watch.measure(stateOf([9, 9, 9, 9])).get("conv1.weight")?.update).toBeNaN();
  });
});
