/** Batch normalization: running statistics that are not those of the batches (row 9). */

import { median } from "../../../base/statistics.ts";
import { fitOf } from "../../confidence/expectation.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import type { ProbeRecord } from "../../probe/measurement.ts";
import { brokenTraining } from "../consequences.ts";
import { findingAt, latest, meanOf, weightOfLoss, worst } from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "batch-norm-stale": 9 } as const;
type Found = CauseFinding<keyof typeof rows>;

/** Divergence from which on running statistics are called stale. */
const staleDivergence = 0.15;

/** Loss with the running statistics over that with the batch's, from which on they cost accuracy. */
const costlyRatio = 1.25;

/** The least ratio of the losses with running and with batch statistics: statistics that catch up cost nothing in the end. */
function leastCost(recent: readonly ProbeRecord[]): number {
  return Math.min(...recent.map(({ runningLoss, loss }) => runningLoss / loss));
}

/** The factor of the confidence by what the running statistics cost in evaluation, at every one of the last probes. */
function weightOfEvaluation(recent: readonly ProbeRecord[]): number {
  const least = leastCost(recent);
  return Number.isNaN(least) ? 1 : logRamp(least, 1.1, 1.5);
}

/** Test accuracy that statistics of the trained network, estimated again, give back; NaN where that was not measured. */
function regainedBy({ examination }: DiagnosisInput): number {
  if (examination === undefined) return Number.NaN;
  const { reestimated, quantized } = examination.test;
  return reestimated.accuracy - quantized.accuracy;
}

function find(input: DiagnosisInput): Found[] {
  const { records, epochs, facts } = input;
  const recent = latest(records.filter(({ step }) => step > 0));
  const last = recent.at(-1);
  if (last === undefined) return [];
  const norms = last.norms.map(({ name }) => {
    const all = recent.flatMap((record) => record.norms.filter((norm) => norm.name === name));
    return {
      name,
      // The median: statistics that lag behind a network in motion catch up, stale ones do not.
      divergence: median(all.map((norm) => norm.divergence)),
      meanShift: meanOf(all.map((norm) => norm.meanShift)),
      varianceShift: meanOf(all.map((norm) => norm.varianceShift)),
    };
  });
  const gap = epochs?.at(-1);
  const visible = gap === undefined ? 0.85 : 0.75 + 0.25 * ramp(gap.testLoss / gap.trainLoss, 1.1, 2);
  const frozen = last.batchNorm === "running";
  // Frozen statistics are those that it trains with: what they cost shows against the float twin, which has the batch's.
  const harm = frozen ? weightOfLoss(input) : weightOfEvaluation(recent);
  const regained = regainedBy(input);
  // Frozen before a network that begins at random was trained at all: the weights can only fit statistics of nothing.
  const isFromNothing = frozen && facts.recipe?.freezeBatchNormAfterEpoch === 0 && input.history === undefined;
  const fromNothing = isFromNothing ? 1 - fitOf(input) : 0;
  const stale = worst(norms, ({ divergence }) => {
    const measured = 0.95 * visible * harm * logRamp(divergence, 0.06, 0.3);
    const evaluated = 0.95 * ramp(regained, 0.03, 0.12) * logRamp(divergence, 0.02, 0.1);
    return Math.max(measured, evaluated, 0.93 * fromNothing * logRamp(divergence, 0.1, 0.4));
  });
  const found = findingAt(stale, ({ name }) => name, {
    cause: "batch-norm-stale",
    title: (layers) => `The running statistics of batch normalization differ from those of the batches in ${layers}`,
    evidence: (place) => [
      evidence("KL of batch from running statistics, nats", place.divergence, staleDivergence, "above", place.name),
      evidence("|μ batch − μ running| / σ running", place.meanShift, 0.5, "above", place.name),
      evidence("|ln σ² batch / σ² running|", place.varianceShift, 0.7, "above", place.name),
    ],
    more: [
      evidence(
        "loss with running / with batch statistics, least of the last probes",
        leastCost(recent),
        costlyRatio,
        "above",
      ),
      ...(Number.isNaN(regained)
        ? []
        : [evidence("test accuracy with statistics estimated again − with the running ones", regained, 0.05, "above")]),
      ...(gap === undefined ? [] : [evidence("test loss / training loss", gap.testLoss / gap.trainLoss, 1.5, "above")]),
    ],
    remedy: frozen
      ? {
          title: "let batch normalization follow the batches longer",
          changes: {
            "quantization.freezeBatchNormAfterEpoch":
              (facts.recipe?.freezeBatchNormAfterEpoch ?? 0) > 0 ? Math.ceil((facts.recipe?.epochs ?? 4) * 0.75) : null,
            "train.reestimateBatchNormBatches": 50,
          },
        }
      : {
          title: "re-estimate the statistics before each evaluation",
          changes: { "train.reestimateBatchNormBatches": 50 },
        },
  });
  // Statistics that the network is trained with break the training itself.
  return frozen ? found.map((each) => ({ ...each, explains: brokenTraining })) : found;
}

/** Running statistics of batch normalization that do not match the batches. */
export const batchNormCauses: CauseFamily<keyof typeof rows> = {
  rows,
  explains: {
    "batch-norm-stale": [
      "bad-initial-scale",
      "gradient-mismatch",
      "saturated",
      "range-moving",
      "learning-rate-too-low",
    ],
  },
  find,
};
