/** A limit on the norm of the gradients that leaves too little of them (row 50). */

import { median } from "../../../base/statistics.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import type { ProbeRecord } from "../../probe/measurement.ts";
import { usualWay, wayOf } from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "gradient-clip-too-tight": 50 } as const;
type Found = CauseFinding<keyof typeof rows>;

/** The 2-norm of the gradients of all weights together: at most that of all parameters, which the limit is for. */
function gradientNorm({ weights }: ProbeRecord): number {
  return Math.sqrt(weights.reduce((sum, weight) => sum + weight.gradientNorm ** 2, 0));
}

/**
 * What is left of a step: with SGD the share of the gradient. Adam divides by the gradient's own size, so that a factor on all
 * gradients changes nothing until ε, which is added to that size, outweighs it.
 */
function shareOfStep({ facts }: DiagnosisInput, norm: number, limit: number): number {
  const { optimizer } = facts.recipe ?? {};
  const share = Math.min(1, limit / norm);
  if (optimizer === undefined || optimizer.name === "sgd") return share;
  if (facts.trainedElements === undefined) return 1;
  const withEpsilon = (size: number) => size / (size + optimizer.epsilon * Math.sqrt(facts.trainedElements ?? 0));
  return withEpsilon(norm * share) / withEpsilon(norm);
}

function find(input: DiagnosisInput): Found[] {
  const { facts, records } = input;
  const limit = facts.recipe?.gradientClip;
  const last = records.at(-1);
  if (limit === undefined || last === undefined || last.step === 0) return [];
  const norms = records.map(gradientNorm).filter((norm) => norm > 0 && Number.isFinite(norm));
  if (norms.length === 0) return [];
  const norm = median(norms);
  const clipped = norms.filter((each) => each > limit).length / norms.length;
  const share = shareOfStep(input, norm, limit);
  const moved = wayOf(last);
  const way = usualWay(facts);
  return [
    {
      cause: "gradient-clip-too-tight",
      title: `The limit of ${limit} on the norm of the gradients leaves ${shown(share)} % of a step: the norm is ${Number(norm.toPrecision(2))}`,
      layers: [],
      evidence: [
        evidence("limit / norm of the weights' gradients, median of the probes", limit / norm, 0.1, "below"),
        evidence("share of the probes whose gradients are limited", clipped, 0.9, "above"),
        evidence("share of a step that is left", share, 0.1, "below"),
        evidence("‖w − w₀‖ / ‖w₀‖", moved, way / 3, "below"),
      ],
      // A small share with a large rate is a usual training: the weights have to show that they did not move.
      confidence: 0.93 * logRamp(share, 0.25, 0.08) * logRamp(moved, way, way / 4),
      remedy: {
        title: "raise the limit to the median norm of the gradients",
        changes: { "train.optimizer.gradientClip": Number(norm.toPrecision(2)) },
      },
    },
  ];
}

function shown(share: number): string {
  return String(Number((100 * share).toPrecision(2)));
}

/** A limit on the gradients that is below nearly all of them. */
export const gradientClipCauses: CauseFamily<keyof typeof rows> = {
  rows,
  explains: {
    "gradient-clip-too-tight": [
      "learning-rate-too-low",
      "gradient-mismatch",
      "capacity",
      "bad-initial-scale",
      "saturated",
      "outlier-range",
    ],
  },
  find,
};
