/** Batch normalization: running statistics that are not those of the batches (row 9). */

import { median } from "../../base/statistics.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../finding.ts";
import type { DiagnosisInput } from "../input.ts";
import { findingAt, latest, meanOf, worst } from "./view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "batch-norm-stale": 9 } as const;
type Found = CauseFinding<keyof typeof rows>;

/** Divergence from which on running statistics are called stale. */
const staleDivergence = 0.15;

function find({ records, epochs, facts }: DiagnosisInput): Found[] {
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
  const stale = worst(norms, ({ divergence }) => 0.95 * visible * logRamp(divergence, 0.06, 0.3));
  const frozen = last.batchNorm === "running";
  return findingAt(stale, ({ name }) => name, {
    cause: "batch-norm-stale",
    title: (layers) => `The running statistics of batch normalization differ from those of the batches in ${layers}`,
    evidence: (place) => [
      evidence("KL of batch from running statistics, nats", place.divergence, staleDivergence, "above", place.name),
      evidence("|μ batch − μ running| / σ running", place.meanShift, 0.5, "above", place.name),
      evidence("|ln σ² batch / σ² running|", place.varianceShift, 0.7, "above", place.name),
    ],
    more: gap === undefined ? [] : [evidence("test loss / training loss", gap.testLoss / gap.trainLoss, 1.5, "above")],
    remedy: frozen
      ? {
          title: "let batch normalization follow the batches longer",
          changes: {
            "quantization.freezeBatchNormAfterEpoch": Math.ceil((facts.recipe?.epochs ?? 4) * 0.75),
            "train.reestimateBatchNormBatches": 50,
          },
        }
      : {
          title: "re-estimate the statistics before each evaluation",
          changes: { "train.reestimateBatchNormBatches": 50 },
        },
  });
}

/** Running statistics of batch normalization that do not match the batches. */
export const batchNormCauses: CauseFamily<keyof typeof rows> = { rows, find };
