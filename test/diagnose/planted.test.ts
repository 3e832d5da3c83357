/** Three planted faults and a healthy run from start to end; bench/diagnosis/planted.ts runs them all. */
import { beforeAll, describe, expect, it } from "vitest";
import type { DatasetSplits } from "../../src/data/dataset/dataset.ts";
import { loadFashionMnist } from "../../src/data/formats/fashion-mnist.ts";
import { highConfidence } from "../../src/runs/finding.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { type Fault, faults, type Setup } from "./planted-faults.ts";
import { healthySetup, runSetup, smallNetworks } from "./small-networks.ts";

const engine = nodeEngine({ threads: 1 });
const network = smallNetworks.resnet6;
let data: DatasetSplits;
let setup: Setup;

beforeAll(async () => {
  data = await loadFashionMnist({ trainCount: 512, testCount: 64 });
  setup = await healthySetup(network, data, engine);
}, 120_000);

function planted(part: string): Fault {
  const fault = faults.find(({ name }) => name.includes(part));
  if (fault === undefined) throw new Error(`there is no fault "${part}"`);
  return fault;
}

describe("runs made to fail on purpose", () => {
  it.each(["30 times too large", "mask missing", "batch normalization stale"])(
    "%s: the first finding, with its layer",
    async (part) => {
      const fault = planted(part);
      const { findings } = await runSetup(fault.plant(setup, network.places), data, engine);
      expect(findings[0]?.cause).toBe(fault.cause);
      expect(findings[0]?.layers).toContain(fault.layer?.(network.places));
    },
    120_000,
  );

  it("a healthy run: no finding of high confidence", async () => {
    const { findings } = await runSetup(setup, data, engine);
    expect(findings.filter(({ confidence }) => confidence >= highConfidence)).toEqual([]);
  }, 120_000);
});
