/** What --resume says of flags that would change the run. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { capture } from "../support/machine/capture.ts";

const flags = [
  ["--lr", "0.01"],
  ["--epochs", "9"],
  ["--preset", "lsq"],
  ["--set", "train.epochs=4"],
  ["--seed", "3"],
  ["--weight-bits", "3"],
];

describe("train --resume with a changed configuration", () => {
  it("refuses it, and gives the command that starts a new run from the weights", async () => {
    await fc.assert(
      fc.asyncProperty(fc.subarray(flags, { minLength: 1 }), async (given) => {
        const { code, stderr } = await capture("train", "--resume", "runs/mine", ...given.flat());
        expect(code).toBe(2);
        expect(stderr).toContain("a resumed run keeps its own configuration");
        const command = /subbyte train .*/.exec(stderr)?.[0] ?? "";
        expect(command).toMatch(/^subbyte train --config runs\/mine\/config\.yaml --from runs\/mine /);
        for (const [flag, value] of given) expect(command).toContain(`${flag} ${value}`);
      }),
      { numRuns: 10 },
    );
  });

  it("keeps the file and takes only one start", async () => {
    const args = ["--config", "qat.yaml", "--from", "runs/other", "--lr", "0.1"];
    const { code, stderr } = await capture("train", "--resume", "runs/mine", ...args);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("Leave that out to resume.") });
    expect(stderr).toContain("subbyte train --config qat.yaml --from runs/mine --lr 0.1\n");
  });
});
