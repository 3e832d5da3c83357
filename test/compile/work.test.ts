import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { lowerGraph } from "../../src/compile/passes/lower.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { operators } from "../../src/compile/registry.ts";
import { floatOperations, workOf } from "../../src/compile/work.ts";
import { makeModel } from "../../src/models/index.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { plainStep } from "../support/training/plain-step.ts";

const batchSize = 4;
const float = makeModel("resnet8", { sampleShape: [3, 32, 32], classes: 10 }, randomStream(0, "weights"));
const network = quantize(float, presetNamed("lsq", { weightBits: 4, activationBits: 4 }));
const { graph } = plainStep(network, batchSize);

describe.each([{ name: "generic", blockSize: 1 } as const, { name: "cpu", blockSize: 16 } as const])(
  "workOf, lowered for $name",
  (target) => {
    const lowered = lowerGraph(graph, operators, target);
    const works = lowered.nodes.map(workOf);
    const layersOf = (kind: string) => new Set(works.filter((work) => work.kind === kind).map(({ layer }) => layer));

    it("finds every layer's forward pass and the gradient of its weights", () => {
      const named = float.graph.nodes.filter(({ op }) => op === "Conv" || op === "Gemm").map(({ name }) => name);
      expect(layersOf("layers forward")).toEqual(new Set(named));
      expect(layersOf("gradient of weights")).toEqual(new Set(named));
    });

    it("gives quantizers to the layer that they stand at", () => {
      expect(layersOf("quantizers")).toContain("layer2.0.conv1");
      expect(layersOf("normalization")).toContain("layer2.0.bn1");
      expect(layersOf("optimizer")).toContain("layer2.0.conv1");
    });

    it("leaves hardly anything without a module", () => {
      const unknown = works.filter(({ layer }) => layer === "");
      expect(unknown.length / works.length).toBeLessThan(0.06);
    });
  },
);

describe("floatOperations", () => {
  it("counts two operations for each multiplication of the forward convolutions", () => {
    // The usual count of a CIFAR ResNet-8 with projections: 12.5 million multiplications for an image.
    const perImage = (floatOperations(graph).get("layers forward") ?? 0) / batchSize / 2;
    const expected =
      32 * 32 * 9 * (3 * 16 + 2 * 16 * 16) +
      16 * 16 * (9 * (16 * 32 + 32 * 32) + 16 * 32) +
      8 * 8 * (9 * (32 * 64 + 64 * 64) + 32 * 64) +
      64 * 10;
    expect(perImage).toBe(expected);
  });

  it("counts as much for each gradient as for the forward pass, the first layer's scale being learned too", () => {
    const operations = floatOperations(graph);
    expect(operations.get("gradient of weights")).toBe(operations.get("layers forward"));
    expect(operations.get("gradient of inputs")).toBe(operations.get("layers forward"));
  });
});
