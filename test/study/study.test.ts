import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readStudy, study } from "../../src/index.ts";
import { temporaryFolder } from "./support.ts";

describe("study()", () => {
  it("does what the command does, and resumes when it is called again", async () => {
    const folder = join(temporaryFolder(), "study");
    const config = {
      model: { name: "mlp", width: 8 },
      data: { trainLimit: 128, testLimit: 64 },
      train: { epochs: 1, batchSize: 32 },
      float: null,
      weightBits: [4],
      activationBits: [8, 1],
      recipes: ["thread"],
      diagnose: false,
    };
    const begun: string[] = [];
    const listeners = { onChange: (trial: { trial: { id: string } }) => begun.push(trial.trial.id) };
    const { result } = await study(config, { folder, ...listeners });
    expect(result.counts).toMatchObject({ finished: 1, impossible: 1 });
    expect(new Set(begun)).toEqual(new Set(["thread_W4A8_seed0"]));
    begun.length = 0;
    expect((await study(config, { folder, ...listeners })).result).toEqual(result);
    expect(begun).toEqual([]);
    expect((await readStudy(folder)).result).toEqual(result);
  }, 60_000);

  it("names the mistake in a configuration before anything runs", async () => {
    const folder = temporaryFolder();
    await expect(study({ weightBits: [4, 4] }, { folder })).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("expected each bit-width once"),
    });
  });
});
