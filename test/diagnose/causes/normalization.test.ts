import { describe, expect, it } from "vitest";
import { resolveTrainingConfig } from "../../../src/config/config.ts";
import { diagnose } from "../../../src/diagnose/diagnose.ts";
import { dataFacts, facts, history, records, siteFacts } from "../synthetic.ts";

const measured = { mean: [0.28], std: [0.35] };

/** A run whose configuration has these numbers, from a float run that measured its own. */
function confidenceOf(text: string, before: { mean: number[]; std: number[] } | undefined, own = measured): number {
  const settings = resolveTrainingConfig({ name: "run", text });
  const found = diagnose({
    facts: facts([siteFacts()], { settings }),
    records: records(),
    data: { ...dataFacts(), normalization: own },
    history: { ...history(0.87), ...(before === undefined ? {} : { normalization: before }) },
  });
  return found.find(({ cause }) => cause === "normalization-differs")?.confidence ?? 0;
}

const same = "data: { normalization: { mean: [0.28], std: [0.35] } }";
const other = "data: { normalization: { mean: [0.9], std: [0.1] } }";

describe("another normalization than that of the float run", () => {
  it("is none where the numbers are the same, taken over or measured", () => {
    expect(confidenceOf(same, measured)).toBe(0);
    expect(confidenceOf(same, { mean: [0.285], std: [0.352] })).toBe(0);
  });

  it("is found where the numbers differ, and where those of the float run are not known", () => {
    expect(confidenceOf(other, measured)).toBeGreaterThan(0.8);
    expect(confidenceOf(same, { mean: [0.28], std: [0.7] })).toBeGreaterThan(0.8);
    expect(confidenceOf(other, undefined)).toBeGreaterThan(0.8);
  });
});
