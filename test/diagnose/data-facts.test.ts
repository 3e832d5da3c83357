import { describe, expect, it } from "vitest";
import { type Dataset, inMemoryDataset } from "../../src/data/dataset/dataset.ts";
import { dataFactsOf } from "../../src/diagnose/data-facts.ts";

/** Samples of one number whose classes follow one another. */
function part(count: number, classes: number): Dataset {
  return inMemoryDataset({
    name: `${classes} classes`,
    samples: Float32Array.from({ length: count }, (_, i) => i),
    sampleShape: [1],
    targets: Int32Array.from({ length: count }, (_, i) => (i * 7919) % classes),
    target: { kind: "classes", classes: Array.from({ length: classes }, (_, i) => String(i)) },
  });
}

describe("facts about data", () => {
  it("hold the share of each class where all samples were seen, or enough of each class", async () => {
    const { train } = await dataFactsOf({ train: part(9000, 10), test: part(50, 10) });
    expect(train.shares).toHaveLength(10);
    for (const share of train.shares ?? []) expect(share).toBeCloseTo(0.1, 1);
  });

  it("hold no shares where a class could be missed by chance", async () => {
    const { train, test } = await dataFactsOf({ train: part(9000, 1000), test: part(2000, 1000) });
    expect(train.shares).toBeUndefined();
    expect(test.shares).toHaveLength(1000);
  });

  it("read few samples of data that is not in memory", async () => {
    let read = 0;
    const streamed = (whole: Dataset): Dataset => ({
      ...whole,
      prefetch: async (indices) => {
        read += indices.length;
      },
    });
    await dataFactsOf({ train: streamed(part(9000, 10)), test: streamed(part(9000, 10)) });
    expect(read).toBeLessThanOrEqual(512);
  });
});
