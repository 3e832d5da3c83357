import { describe, expect, it } from "vitest";
import { causes, mayBeReportedEarly } from "../../src/diagnose/diagnose.ts";
import { EarlyFindings } from "../../src/diagnose/early-findings.ts";
import type { Finding } from "../../src/runs/finding.ts";

const finding = (cause: string, confidence: number): Finding => ({
  cause,
  title: cause,
  layers: [],
  evidence: [],
  confidence,
  remedy: null,
});

const reported = (early: EarlyFindings, step: number, ...findings: Finding[]) =>
  early.at(step, findings).map((each) => `${each.kind} ${each.finding.cause} ${each.step}`);

describe("findings while a run trains", () => {
  it("are reported once, from a confidence of 0.8, and only causes whose evidence needs no end of the run", () => {
    const early = new EarlyFindings();
    expect(reported(early, 0, finding("input-scale", 0.79), finding("capacity", 0.95))).toEqual([]);
    expect(reported(early, 16, finding("input-scale", 0.8))).toEqual(["found input-scale 16"]);
    expect(reported(early, 32, finding("input-scale", 0.9))).toEqual([]);
    expect(reported(early, 48, finding("input-scale", 0.7))).toEqual([]);
  });

  it("are withdrawn once where a later probe takes them back, and not reported again", () => {
    const early = new EarlyFindings();
    reported(early, 0, finding("scale-collapsed", 0.9), finding("input-scale", 0.9));
    expect(reported(early, 16, finding("scale-collapsed", 0.5), finding("input-scale", 0.9))).toEqual([
      "withdrawn scale-collapsed 16",
    ]);
    expect(reported(early, 32, finding("input-scale", 0.9))).toEqual([]);
    expect(reported(early, 48, finding("scale-collapsed", 0.95), finding("input-scale", 0.9))).toEqual([]);
  });

  it("are of causes that the diagnosis knows", () => {
    const early = Object.keys(causes).filter((cause) => mayBeReportedEarly({ cause }));
    expect(early).toContain("never-quantized");
    expect(early).not.toContain("oscillation");
    expect(early.length).toBeGreaterThan(20);
  });
});
