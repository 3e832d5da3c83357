import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { capture } from "../../support/machine/capture.ts";
import { temporaryFolder } from "../../support/training/tiny-run.ts";

const small =
  "train --model mlp --preset thread --weight-bits 4 --activation-bits 4 --set data.trainLimit=128 --set data.testLimit=64 --batch 32 --epochs 1 --threads 1".split(
    " ",
  );
const certain = /^step 0: .*reduce_range halves the codes \(confidence \d+ %\)$/m;

describe("subbyte train with a fault that is certain", () => {
  it("reports it once on stderr, with --json too, and not with --quiet", async () => {
    const out = join(await temporaryFolder(), "runs");
    const plain = await capture(...small, "--out", out);
    expect(plain.stderr.match(new RegExp(certain, "gm"))).toHaveLength(1);
    const json = await capture(...small, "--out", out, "--json");
    expect(json.stderr).toMatch(certain);
    expect(JSON.parse(json.stdout)).toMatchObject({ steps: 4 });
    const quiet = await capture(...small, "--out", out, "--quiet");
    expect(quiet.stderr).toBe("");
  }, 60_000);

  it("stops there where it is asked to, with exit code 1, and says how to train on", async () => {
    const out = join(await temporaryFolder(), "runs");
    const { code, stderr } = await capture(...small, "--out", out, "--name", "run", "--stop-on-fault");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*run: stopped at step 0: /m);
    expect(stderr).toContain("Fix: use all codes of the requested bits: --set quantization.reduceRange=false");
    expect(stderr).toContain(`subbyte train --resume ${join(out, "run")}`);
  }, 60_000);

  it("refuses to stop at findings of a run that is not measured", async () => {
    const { code, stderr } = await capture(...small, "--stop-on-fault", "--no-diagnose");
    expect(code).toBe(2);
    expect(stderr).toContain("Leave --no-diagnose out.");
  });
});
