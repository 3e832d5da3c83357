import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EarlyStopping } from "../../../src/study/plan/schema.ts";
import { decideStops, type TrialHistory } from "../../../src/study/schedule/early-stopping.ts";

const rule = (changes: Partial<EarlyStopping>): EarlyStopping => ({
  rule: "median",
  graceEpochs: 1,
  minimumTrials: 3,
  slack: 0,
  reduction: 3,
  ...changes,
});

const trial = (id: string, accuracies: number[], ended = true): TrialHistory => ({
  id,
  accuracies,
  totalEpochs: 4,
  ended,
});

const good = [trial("a", [0.5, 0.6, 0.7, 0.8]), trial("b", [0.5, 0.6, 0.7, 0.8]), trial("c", [0.5, 0.6, 0.7, 0.8])];

describe("the median rule", () => {
  it("stops a trial below the median of the earlier ones, and says why", () => {
    const { stopped } = decideStops(rule({}), [...good, trial("d", [0.1, 0.2], false)]);
    expect(stopped.get("d")).toEqual({
      epoch: 1,
      reason: "after epoch 1 its best accuracy was 10.0 %, the median of 3 earlier trials 50.0 %",
    });
    expect([...stopped.keys()]).toEqual(["d"]);
  });

  it("spares a trial within the slack, in the grace epochs, and after the last epoch", () => {
    expect(decideStops(rule({ slack: 0.5 }), [...good, trial("d", [0.1], false)]).stopped.size).toBe(0);
    expect(decideStops(rule({ graceEpochs: 3 }), [...good, trial("d", [0.1, 0.1], false)]).stopped.size).toBe(0);
    expect(decideStops(rule({ graceEpochs: 4 }), [...good, trial("d", [0.1, 0.1, 0.1, 0.1])]).stopped.size).toBe(0);
  });

  it("waits for earlier trials that have not come so far", () => {
    const slow = [good[0], trial("b", [], false), good[2]].flatMap((item) => item ?? []);
    const { stopped, settled } = decideStops(rule({ minimumTrials: 2 }), [...slow, trial("d", [0.1], false)]);
    expect(stopped.size).toBe(0);
    expect(settled.has("d")).toBe(false);
  });
});

describe("successive halving", () => {
  it("lets the best third continue at each rung", () => {
    const trials = [0.5, 0.6, 0.1, 0.2, 0.55, 0.9].map((accuracy, index) => trial(String(index), [accuracy, accuracy]));
    const { stopped } = decideStops(rule({ rule: "asha" }), trials);
    // Of three the best goes on; the third is the worst of its three. The last is the best of all.
    expect([...stopped.keys()]).toEqual(["2", "3", "4"]);
    expect(stopped.get("2")?.reason).toContain("number 3 of 3");
  });

  it("decides only at its rungs", () => {
    const trials = [1, 1, 0].map((accuracy, index) => trial(String(index), [0.5, accuracy, accuracy]));
    const atTwo = decideStops(rule({ rule: "asha", reduction: 2, graceEpochs: 2 }), trials);
    expect(atTwo.stopped.get("2")?.epoch).toBe(2);
    const never = decideStops(rule({ rule: "asha", reduction: 2, graceEpochs: 4 }), trials);
    expect(never.stopped.size).toBe(0);
  });
});

describe("both rules", () => {
  it("come to the same verdicts in whatever order the epochs arrive", () => {
    const accuracies = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 });
    const study = fc.record({
      histories: fc.array(accuracies, { minLength: 1, maxLength: 8 }),
      arrivals: fc.array(fc.nat(7), { maxLength: 60 }),
      name: fc.constantFrom("median" as const, "asha" as const),
    });
    fc.assert(
      fc.property(study, ({ histories, arrivals, name }) => {
        const chosen = rule({ rule: name, minimumTrials: 2, reduction: 2 });
        const all = histories.map((values, index) => trial(String(index), values));
        const expected = decideStops(chosen, all).stopped;
        // Epochs come one at a time, from any trial; a trial that is stopped sends no more.
        const seen = histories.map(() => 0);
        const verdicts = new Map<string, number>();
        const order = [...arrivals, ...histories.flatMap((_, index) => [index, index, index, index])];
        for (const index of order) {
          if (index >= histories.length || verdicts.has(String(index))) continue;
          seen[index] = Math.min(4, (seen[index] ?? 0) + 1);
          const now = histories.map((values, i) => {
            const count = verdicts.get(String(i)) ?? seen[i] ?? 0;
            return trial(String(i), values.slice(0, count), verdicts.has(String(i)) || count === 4);
          });
          for (const [id, { epoch }] of decideStops(chosen, now).stopped) {
            if (!verdicts.has(id)) verdicts.set(id, epoch);
          }
        }
        expect(verdicts).toEqual(new Map([...expected].map(([id, { epoch }]) => [id, epoch])));
      }),
    );
  });
});
