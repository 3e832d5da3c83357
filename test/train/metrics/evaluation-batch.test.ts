import { expect, it } from "vitest";
import { inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { evaluationBatch } from "../../../src/train/loop/evaluate.ts";
import { tokenNetwork } from "../../support/training/token-network.ts";

it("an evaluation computes fewer samples at once where each has the scores of a vocabulary", () => {
  const count = 1000;
  const dataset = inMemoryDataset({
    name: "tokens",
    samples: new Int32Array(count),
    sampleShape: [1],
    targets: new Int32Array(count),
    target: { kind: "classes", classes: ["a"] },
  });
  const network = (length: number, classes: number) =>
    tokenNetwork({ vocabulary: 4, length, classes, head: "positions" });
  expect(evaluationBatch(dataset, network(4, 10))).toBe(256);
  expect(evaluationBatch(dataset, network(128, 32_768))).toBe(16);
  expect(evaluationBatch(dataset, network(128, 32_768), 40)).toBe(40);
});
