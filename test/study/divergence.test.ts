/** A study whose trials diverge: they count as failed, with the reason. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { runStudy } from "../../src/study/run-study.ts";
import { temporaryFolder, tinyStudy } from "./support.ts";

it("counts a trial that diverges as failed, with what to set", async () => {
  const train = { epochs: 2, batchSize: 32, optimizer: { learningRate: 1e30 } };
  const config = tinyStudy({ float: null, weightBits: [4], train });
  const { result } = await runStudy({ folder: join(temporaryFolder(), "study"), config });
  expect(result.counts).toMatchObject({ finished: 0, failed: 1 });
  const [failed] = result.trials;
  expect(failed?.accuracy).toBeNull();
  expect(failed?.reason).toContain("--lr 1e+29");
}, 60_000);
