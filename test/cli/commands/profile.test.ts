import { describe, expect, it } from "vitest";
import { z } from "zod";
import { capture } from "../../support/machine/capture.ts";

const small = ["--model", "resnet8", "--set", "model.width=4", "--batch", "8", "--steps", "1", "--threads", "1"];
const quantized = ["--preset", "lsq", "--weight-bits", "4", "--activation-bits", "4"];

const share = z.object({ seconds: z.number().min(0), bytes: z.number().min(0), nodes: z.number().min(1) });
const profile = z.object({
  device: z.literal("cpu"),
  batchSize: z.literal(8),
  stepSeconds: z.number().positive(),
  kinds: z.array(share.extend({ kind: z.string(), operations: z.number() })),
  layers: z.array(share.extend({ layer: z.string() })),
  operators: z.array(share.extend({ op: z.string() })),
  plannedBytes: z.number().positive(),
});

describe("subbyte profile", () => {
  it("counts every node once by kind, by layer and by operator", async () => {
    const { code, stdout } = await capture("profile", ...small, ...quantized, "--json");
    expect(code).toBe(0);
    const { kinds, layers, operators, stepSeconds } = profile.parse(JSON.parse(stdout));
    const nodesOf = (shares: readonly { readonly nodes: number }[]) =>
      shares.reduce((sum, { nodes }) => sum + nodes, 0);
    expect(nodesOf(layers)).toBe(nodesOf(kinds));
    expect(nodesOf(operators)).toBe(nodesOf(kinds));
    expect(kinds.reduce((sum, { seconds }) => sum + seconds, 0)).toBeLessThanOrEqual(stepSeconds);
    const named = kinds.map(({ kind }) => kind);
    expect(named).toEqual(expect.arrayContaining(["layers forward", "gradient of weights", "quantizers", "optimizer"]));
    expect(kinds.find(({ kind }) => kind === "layers forward")?.operations).toBeGreaterThan(0);
    expect(layers.map(({ layer }) => layer)).toEqual(expect.arrayContaining(["conv1", "layer1.0.conv1", "fc"]));
  });

  it("says what was profiled, and where", async () => {
    const { code, stdout } = await capture("profile", ...small, "--layers", "2");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^One training step of resnet8, float, batch 8, on cpu: [\d.]+ ms, \d+ images\/s/);
    expect(stdout).toMatch(/\nPlanned peak memory of values: [\d.]+ MB\n$/);
  });
});
