/** Running statistics of batch normalization that never follow the batches, or follow the last one alone (row 51). */

import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import { latest, listed } from "../view.ts";
import { stepsOf } from "./optimizer.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "batch-norm-momentum": 51 } as const;
type Found = CauseFinding<keyof typeof rows>;

/** Batches from which statistics are estimated again before each evaluation. */
const batches = 50;

/** What the running statistics cost in evaluation: test accuracy that new ones give back, or the loss of a batch with both. */
function costOf({ records, examination }: DiagnosisInput) {
  const recent = latest(records.filter(({ step }) => step > 0));
  const test = examination?.test;
  return {
    regained: test === undefined ? Number.NaN : test.reestimated.accuracy - test.quantized.accuracy,
    lossRatio: Math.min(...recent.map(({ runningLoss, loss }) => runningLoss / loss)),
  };
}

function find(input: DiagnosisInput): Found[] {
  const { facts, records } = input;
  const last = records.at(-1);
  const norms = facts.batchNorms ?? [];
  // Frozen statistics have no use for a momentum.
  if (last === undefined || last.step === 0 || last.batchNorm === "running" || norms.length === 0) return [];
  if (facts.recipe?.reestimateBatchNormBatches !== undefined) return [];
  const steps = stepsOf(input);
  const assessed = norms.map(({ name, kept }) => {
    // Of the statistics that the run began with; where its length is not known, a thousand steps are taken.
    // A usual momentum forgets them in any run that is long enough: a short one is another cause.
    const old = kept ** Math.max(100, Number.isNaN(steps) ? 1000 : steps);
    const averaged = (1 + kept) / Math.max(1e-6, 1 - kept);
    return { name, kept, old, averaged, score: Math.max(ramp(old, 0.1, 0.5), logRamp(averaged, 2.5, 1.2)) };
  });
  const worst = assessed.reduce((a, b) => (b.score > a.score ? b : a));
  const all = assessed.filter(({ score }) => score > 0);
  const { regained, lossRatio } = costOf(input);
  const cost = Math.max(ramp(regained, 0.01, 0.04), logRamp(lossRatio, 1.05, 1.25));
  const layers = all.map(({ name }) => name);
  const isStill = worst.old >= 0.1;
  return [
    {
      cause: "batch-norm-momentum",
      title: isStill
        ? `The running statistics of batch normalization keep ${Number((100 * worst.old).toPrecision(2))} % of what the run began with: their momentum is ${shown(worst.kept)} in ${listed(layers)}`
        : `The running statistics of batch normalization are those of the last batch: their momentum is ${shown(worst.kept)} in ${listed(layers)}`,
      layers,
      evidence: [
        evidence(
          "momentum: the share of the running statistics that a step keeps",
          worst.kept,
          isStill ? 0.999 : 0.4,
          isStill ? "above" : "below",
          worst.name,
        ),
        evidence("share of the first statistics that is left at the end", worst.old, 0.1, "above", worst.name),
        evidence("batches that the statistics average", worst.averaged, 2.5, "below", worst.name),
        evidence("test accuracy with statistics estimated again − with the running ones", regained, 0.02, "above"),
        evidence("loss with running / with batch statistics, least of the last probes", lossRatio, 1.1, "above"),
      ],
      confidence: 0.94 * worst.score * (0.4 + 0.6 * cost),
      remedy: {
        title: `estimate the statistics again before each evaluation (or write a momentum of 0.9 into the model's file)`,
        changes: { "train.reestimateBatchNormBatches": batches },
      },
    },
  ];
}

function shown(kept: number): string {
  return String(Number(kept.toPrecision(6)));
}

/** Momentums with which running statistics are of no use in evaluation. */
export const batchNormMomentumCauses: CauseFamily<keyof typeof rows> = {
  rows,
  explains: {
    "batch-norm-momentum": [
      "batch-norm-stale",
      "bad-initial-scale",
      "gradient-mismatch",
      "saturated",
      "range-moving",
      "learning-rate-too-low",
      "test-shift",
      "capacity",
    ],
  },
  find,
};
