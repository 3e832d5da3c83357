/** The example of each task runs as it stands and learns what it is for. @slow */
import { readdirSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { repositoryRoot } from "../support/repository.ts";
import { hasTokenizers } from "../support/small-tokenizer.ts";

beforeEach(() => {
  vi.spyOn(console, "log").mockImplementation(() => undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("examples of tasks", () => {
  it("regression: the size of a disc at 4 bits", async () => {
    const { result } = await import("../../examples/tasks/regression.ts");
    expect(result.metric).toBe("r2");
    expect(result.accuracy).toBeGreaterThan(0.85);
  }, 60_000);

  it("autoencoder: noise among waves", async () => {
    const { result } = await import("../../examples/tasks/autoencoder.ts");
    expect(result.metric).toBe("auc");
    expect(result.accuracy).toBeGreaterThan(0.95);
  }, 60_000);

  it("segmentation: squares, with a border that does not count", async () => {
    const { result } = await import("../../examples/tasks/segmentation.ts");
    expect(result.metric).toBe("meanIoU");
    expect(result.accuracy).toBeGreaterThan(0.7);
  }, 60_000);

  it("segmentation from folders of images and masks", async () => {
    const { summary } = await import("../../examples/tasks/masks.ts");
    expect(summary.metric).toBe("meanIoU");
    expect(summary.accuracy).toBeGreaterThan(0.8);
  }, 60_000);

  it("detection of discs and squares", async () => {
    const { summary } = await import("../../examples/tasks/detection.ts");
    expect(summary.metric).toBe("meanAveragePrecision");
    expect(summary.accuracy).toBeGreaterThan(0.3);
  }, 120_000);

  it("keywords: sounds that rise, fall or stay", async () => {
    const { summary } = await import("../../examples/tasks/keywords.ts");
    expect(summary.metric).toBe("accuracy");
    expect(summary.accuracy).toBeGreaterThan(0.85);
  }, 60_000);

  it("are all tried here", () => {
    const scripts = readdirSync(new URL("examples/tasks/", `file://${repositoryRoot}/`)).filter((name) =>
      name.endsWith(".ts"),
    );
    const tried = ["autoencoder", "masked-tokens", "next-token", "regression", "segmentation", "token-classification"];
    expect(scripts.sort()).toEqual(
      [...tried, "detection", "keywords", "masks", "sentences"].map((name) => `${name}.ts`).sort(),
    );
  });
});

describe.skipIf(!hasTokenizers())("examples of texts", () => {
  it("token classification: the part of speech of each word", async () => {
    const { summary } = await import("../../examples/tasks/token-classification.ts");
    expect(summary.metric).toBe("tokenAccuracy");
    expect(summary.macroF1).toBeGreaterThan(0.95);
  }, 60_000);

  // A uniform guess among the words has a perplexity of 18; the grammar itself leaves about 2.3 of it.
  it("masked tokens", async () => {
    const { summary } = await import("../../examples/tasks/masked-tokens.ts");
    expect(summary.metric).toBe("maskedAccuracy");
    expect(summary.perplexity).toBeLessThan(4);
  }, 60_000);

  it("next token", async () => {
    const { summary } = await import("../../examples/tasks/next-token.ts");
    expect(summary.metric).toBe("nextTokenAccuracy");
    expect(summary.perplexity).toBeLessThan(4);
  }, 60_000);
});
