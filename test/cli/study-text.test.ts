import { describe, expect, it } from "vitest";
import { whyText } from "../../src/cli/commands/study/text.ts";
import { record } from "../study/support.ts";

describe("the causes of a failing trial", () => {
  const finding = (layers: string[]) => ({
    cause: "reduced-range" as const,
    title: "The activations have 8 levels",
    layers,
    evidence: [],
    confidence: 0.97,
    remedy: null,
  });

  it("name the confidence and the first layers", () => {
    const findings = [finding([]), finding(["a", "b"]), finding(["a", "b", "c", "d"])];
    expect(whyText(record({ findings, accuracy: 0.443 }), 3)).toEqual([
      "Why lsq W4A4 has 44.3 %:",
      "  1. The activations have 8 levels (confidence 97 %)",
      "  2. The activations have 8 levels (confidence 97 %, a, b)",
      "  3. The activations have 8 levels (confidence 97 %, a, b and 2 more)",
    ]);
    expect(whyText(record({ findings, accuracy: 0.443 }), 1)).toHaveLength(2);
  });
});
