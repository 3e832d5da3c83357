import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { study } from "../../../src/index.ts";
import { temporaryFolder } from "../support.ts";

/** The graphs that a study had the engine optimise, by the hash of what they were made of. */
async function compiledBy(changes: object): Promise<string[]> {
  const folder = join(temporaryFolder(), "study");
  const config = {
    model: { name: "mlp", width: 8 },
    data: { trainLimit: 128, testLimit: 64 },
    train: { epochs: 1, batchSize: 32 },
    float: null,
    weightBits: [4],
    activationBits: [4],
    recipes: ["lsq"],
    seeds: [0],
    ...changes,
  };
  const { result } = await study(config, { folder });
  expect(result.counts.failed).toBe(0);
  const found = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return found.filter((path) => path.endsWith(".onnx")).sort();
}

describe("the trials of a study", () => {
  it("share what is compiled: other seeds compile nothing more", async () => {
    const one = await compiledBy({});
    expect(one.length).toBeGreaterThan(0);
    expect(await compiledBy({ seeds: [0, 1, 2] })).toEqual(one);
  }, 120_000);
});
