import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { trainingMode } from "../../../src/compile/build/forward.ts";
import { buildTrainingStep } from "../../../src/compile/build/training-step.ts";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { makeModel } from "../../../src/models/index.ts";
import { relu } from "../../../src/ops/families/activations.ts";
import { cast } from "../../../src/ops/families/cast.ts";
import { conv } from "../../../src/ops/families/conv.ts";
import { quantizeLinear } from "../../../src/ops/families/quantize-linear.ts";
import { slice } from "../../../src/ops/families/shape/shape-ops.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { block, expectAgreement } from "../../support/graphs/lowering.ts";
import { randomTensor, seeded } from "../../support/random.ts";

/** Fills blocks, or the gradient of a weight wants the standard order. */
const batchSize = 32;

describe("bytes between blocked convolutions", () => {
  it.each(["minmax", "lsq"] as const)("stay blocked in the forward pass (%s)", (preset) => {
    const float = makeModel("resnet8", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(0, "weights"));
    const network = quantize(float, presetNamed(preset, { weightBits: 4, activationBits: 4 }));
    const { graph } = buildTrainingStep(network, {
      batchSize,
      input: { dtype: "uint8", mean: [0.5], deviation: [0.25] },
      loss: { name: "crossEntropy", labelSmoothing: 0 },
      optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
      weightDecay: { weights: 0, normalization: 0, quantizers: 0 },
      mode: trainingMode,
    });
    const forward = lowerGraph(graph, operators, { name: "cpu", blockSize: 16 }).nodes.filter(
      ({ origin }) => origin.phase !== "backward",
    );
    const reordered = forward.filter(({ op, outputs: [output] }) => {
      const [batch, , height = 1] = output?.type.shape ?? [];
      return op.startsWith("Reorder") && batch === batchSize && height > 3;
    });
    expect(forward.some(({ op }) => op === "QuantizeLinear")).toBe(true);
    expect(reordered.map(({ name }) => name)).toEqual([]);
  });

  it("are the same for an operator that reads them in the standard order", async () => {
    const random = seeded(7);
    const feeds = {
      x: randomTensor(random, [2, block, 5, 6]),
      weight: randomTensor(random, [2 * block, block, 3, 3]),
    };
    const b = newBuilder("bytes");
    const y = relu(
      b,
      conv(b, b.input("x", feeds.x), b.input("weight", feeds.weight), undefined, { pads: [1, 1, 1, 1] }),
    );
    const codes = quantizeLinear(b, y, b.scalar(0.5));
    const some = slice(b, codes, { axes: [1, 3], starts: [3, 1], ends: [block + 2, 4] });
    b.output("codes", cast(b, some, "float32"));
    await expectAgreement(b.finish(), feeds, 0, "a slice of the codes");
  });
});
