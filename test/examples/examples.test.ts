/** Every example runs as it stands and reaches what it promises. @slow */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { capture } from "../support/machine/capture.ts";
import { repositoryRoot } from "../support/repository.ts";

const printed: string[] = [];
beforeEach(() => {
  printed.length = 0;
  vi.spyOn(console, "log").mockImplementation((text) => void printed.push(String(text)));
});
afterEach(() => {
  vi.restoreAllMocks();
});

const studies = ["thread-study-resnet18.yaml", "thread-study.yaml"];

describe("examples", () => {
  it("thread-config: asks for 16 levels, gets 8, and trains", async () => {
    const { levels, losses } = await import("../../examples/thread-config.ts");
    expect(levels).toBe(8);
    expect(printed[0]).toBe("asked for 4 bits, 16 levels; the activations have 8");
    expect(printed.at(-1)).toMatch(/^accuracy after 80 steps/);
    expect(losses).toHaveLength(5);
    // Learns slowly, but learns: a guess among ten classes has a loss of ln 10 = 2.303.
    expect(losses.at(-1)).toBeLessThan(Math.log(10) - 0.03);
    expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
  }, 120_000);

  it("lsq-fix: at two bits LSQ keeps what the thread's quantizers lose", async () => {
    const { floatAccuracy, threadAccuracy, lsqAccuracy } = await import("../../examples/lsq-fix.ts");
    expect(floatAccuracy).toBeGreaterThan(0.5);
    expect(lsqAccuracy).toBeGreaterThan(threadAccuracy + 0.2);
    expect(lsqAccuracy).toBeGreaterThan(floatAccuracy - 0.15);
  }, 240_000);

  it("explain: prints the line to change", async () => {
    const { explanation } = await import("../../examples/explain.ts");
    expect(explanation.activations).toMatchObject({ bitsAsked: 4, bits: 3 });
    expect(printed).toContain("activations: 4 bits asked for, 3 bits there");
    expect(printed).toContain("  thread.py:4:38 reduce_range=True -> reduce_range=False");
  });

  it("overrides: print the bits of every layer", async () => {
    const { sites } = await import("../../examples/overrides.ts");
    expect(sites).toContain("layer1.0.conv1.weight.quantizer float32[16,16,3,3] lsq -128..127");
    expect(sites).toContain("layer3.0.conv2.weight.quantizer float32[64,64,3,3] lsq -2..1");
    expect(sites).not.toContain("downsample");
  });

  it("thread.py: pasted into explain, its 4 bits are 3", async () => {
    const file = join(repositoryRoot, "examples", "thread.py");
    const { code, stdout } = await capture("explain", file, "resnet8", "--define", "bits=4");
    expect(code).toBe(0);
    expect(stdout.split("\n")[0]).toBe(
      "Activations: 4 bits requested, 3 in effect (8 levels instead of 16, codes 0..7).",
    );
  });

  it.each(studies)("%s: is a study that could begin", async (name) => {
    const { code, stdout } = await capture("study", join(repositoryRoot, "examples", name), "--dry-run");
    expect(code).toBe(0);
    expect(stdout).toContain("thread_W4A4_seed0");
  });

  it("ocr-angle.yaml: is a valid configuration", async () => {
    const file = join(repositoryRoot, "examples", "ocr-angle.yaml");
    const { code, stdout } = await capture("train", "--config", file, "--print-config");
    expect(code).toBe(0);
    expect(stdout).toContain("task: none");
  });

  it("are all tried here", () => {
    const files = readdirSync(new URL("examples/", `file://${repositoryRoot}/`)).sort();
    const scripts = ["explain.ts", "lsq-fix.ts", "overrides.ts", "shapes", "tasks", "thread-config.ts", "thread.py"];
    expect(files).toEqual([...scripts, "ocr-angle.yaml", ...studies].sort());
  });
});
