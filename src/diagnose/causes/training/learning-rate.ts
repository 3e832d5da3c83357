/** The learning rate: too high, or too low (row 11). */

import { median } from "../../../base/statistics.ts";
import type { Evidence } from "../../../runs/finding.ts";
import { shortfallOf } from "../../confidence/expectation.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import type { ProbeRecord } from "../../probe/measurement.ts";
import { damageAtStart, meanOf, sitesOf, usualWay, wayOf } from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "learning-rate-too-high": 11, "learning-rate-too-low": 11, "warm-up-missing": 52 } as const;
type Found = CauseFinding<keyof typeof rows>;

/**
 * Assesses the learning rate by a record: how far a step moves the weights, and whether that raises the loss.
 *
 * @param isTask Whether the training loss is that of the task; a teacher's has another size.
 */
function assessRecord(record: ProbeRecord, start: ProbeRecord, chance: number, isTask: boolean) {
  const update = median(record.weights.map((weight) => weight.update));
  const distance = wayOf(record);
  const { mean, max } = isTask ? record.recent : { mean: record.loss, max: record.loss };
  const lost = Math.max(
    ramp(mean / chance, 0.8, 1),
    ramp(mean / Math.max(start.loss, 0.05), 1.2, 2),
    ramp(max / chance, 1.5, 3),
  );
  // Weights that were trained stay near where they began (arXiv 1809.04191); random ones have to move.
  const isTrained = 1 - ramp(start.floatLoss / chance, 0.6, 0.9);
  const carriedAway = isTrained * logRamp(distance, 0.4, 1.2);
  const moving = logRamp(update, 0.012, 0.045) * (0.35 + 0.6 * Math.max(lost, carriedAway));
  // After an explosion the weights are so large that a step is small next to them: where they went is enough.
  const exploded =
    0.93 *
    Math.max(
      isTrained * logRamp(distance, 0.8, 2.5),
      logRamp(distance, 3, 10),
      ramp(max / Math.max(chance, 1.5 * start.loss), 2, 4),
    );
  return { record, update, distance, score: Math.max(moving, exploded), isTrained, max };
}

/** What a rate that is too high did, in words: whichever is plainest. */
function excessOf({ update, distance, max }: ReturnType<typeof assessRecord>, chance: number): string {
  if (update >= 0.012) return `a step moves the weights by ${(100 * update).toFixed(1)} %`;
  if (distance >= 0.8) return `the weights went ${distance.toFixed(1)} times their own size away from where they began`;
  return `the training loss rose to ${(max / chance).toFixed(1)} times that of a guess`;
}

function find(input: DiagnosisInput): Found[] {
  const { records, facts } = input;
  const [start] = records;
  const after = records.filter(({ step }) => step > 0);
  const last = after.at(-1);
  if (start === undefined || last === undefined) return [];
  // For regression the loss of a guess is unknown: the loss at the start replaces it.
  const chance = facts.classes === undefined ? Math.max(start.loss, start.floatLoss) : Math.log(facts.classes);
  const isTask = facts.recipe?.distillation === undefined;
  const assessed = after.map((record) => assessRecord(record, start, chance, isTask));
  const worstOne = assessed.reduce((a, b) => (b.score > a.score ? b : a));
  const { update, distance } = worstOne;
  const flips = meanOf(worstOne.record.weights.map(({ flipRate }) => flipRate));
  const recent = last.recent.mean;
  const notFinite =
    after.reduce((sum, record) => sum + record.recent.notFinite, 0) + (Number.isFinite(last.loss) ? 0 : 1);
  const damage = damageAtStart(sitesOf(input), input);
  const high = (notFinite > 0 ? 0.95 : worstOne.score) * (1 - 0.8 * damage);
  const rate = facts.recipe?.learningRate ?? last.learningRate;
  const support: Evidence[] = [
    evidence("‖Δw‖ / ‖w‖ a step", update, 0.02, "above"),
    evidence("‖w − w₀‖ / ‖w₀‖", distance, 0.4, "above"),
    evidence("training loss / loss at the start", worstOne.record.recent.mean / start.loss, 1.2, "above"),
    evidence(
      facts.classes === undefined ? "highest loss / loss at the start" : "highest loss / chance",
      worstOne.max / chance,
      1.5,
      "above",
    ),
    evidence("losses that are not finite", notFinite, 1, "above"),
    ...(Number.isNaN(flips) ? [] : [evidence("codes that change a step", flips, 0.05, "above")]),
  ];
  const findings: Found[] = [
    {
      cause: "learning-rate-too-high",
      title: `The learning rate is too high: ${excessOf(worstOne, chance)}`,
      layers: [],
      evidence: support,
      confidence: high,
      remedy: {
        title: "lower the learning rate",
        changes: { "train.optimizer.learningRate": Number((rate / 10).toPrecision(2)) },
      },
    },
  ];
  const missing = shortfallOf(input)?.missing ?? Number.NaN;
  const moved = wayOf(last);
  const gradient = median(
    after.map(({ weights }) => median(weights.map(({ gradientNorm, norm }) => gradientNorm / norm))),
  );
  const expectedWay = usualWay(facts);
  // A schedule that falls to 0 makes the last updates small in every run: the whole way counts. Where next to no gradient reaches the
  // weights, no rate moves them: something else stops it.
  const stuck =
    logRamp(moved, expectedWay / 3, expectedWay / 12) *
    logRamp(gradient, 0.003, 0.015) *
    (0.5 + 0.5 * Math.max(ramp(recent / Math.max(last.floatLoss, 0.02), 1.1, 1.8), ramp(missing, 0.01, 0.05)));
  if (facts.sites.length > 0 && stuck > 0) {
    findings.push({
      cause: "learning-rate-too-low",
      title: "The learning rate is too low: the weights barely change while the loss stays above float",
      layers: [],
      evidence: [
        evidence("‖w − w₀‖ / ‖w₀‖", moved, expectedWay / 6, "below"),
        evidence("‖Δw‖ / ‖w‖ a step", median(last.weights.map((weight) => weight.update)), 1e-5, "below"),
        evidence("loss / float loss", recent / last.floatLoss, 1.3, "above"),
        evidence("‖∂L/∂w‖ / ‖w‖", gradient, 0.01, "above"),
      ],
      confidence: 0.92 * stuck,
      remedy: {
        title: "raise the learning rate",
        // The way of the weights grows with the rate.
        changes: {
          "train.optimizer.learningRate": Number(
            (rate * Math.min(1000, Math.max(10, expectedWay / moved))).toPrecision(2),
          ),
        },
      },
    });
  }
  return [...findings, ...warmUpMissing(input)];
}

/**
 * Adam's first steps have the full rate whatever the gradient, which a transformer that was trained does not bear. In 40 healthy runs of
 * transformers of the battery the weights went at most 0.06 of their size until the first probe; without a warm-up that they needed, 0.11 to 0.25.
 */
function warmUpMissing({ records, facts }: DiagnosisInput): Found[] {
  const { recipe } = facts;
  const [start, first] = records;
  const { warmupEpochs = 0, warmupSteps = 0 } = recipe?.schedule ?? {};
  if (start === undefined || first === undefined || recipe?.optimizer === undefined) return [];
  if (recipe.optimizer.name === "sgd" || warmupEpochs > 0 || warmupSteps > 0 || start.step > 0) return [];
  const chance = facts.classes === undefined ? Math.max(start.loss, start.floatLoss) : Math.log(facts.classes);
  const distance = wayOf(first);
  const peak = first.recent.max / chance;
  // Random weights have to move.
  const isTrained = 1 - ramp(start.floatLoss / chance, 0.6, 0.9);
  return [
    {
      cause: "warm-up-missing",
      title: `The first ${first.step} steps have the full learning rate and carry the weights away: the schedule has no warm-up`,
      layers: [],
      evidence: [
        evidence("‖w − w₀‖ / ‖w₀‖ at the first probe", distance, 0.1, "above"),
        evidence("highest loss until then / chance", peak, 1.2, "above"),
      ],
      confidence: 0.8 * isTrained * logRamp(distance, 0.07, 0.16) * (0.5 + 0.5 * ramp(peak, 0.8, 1.5)),
      remedy: { title: "let the rate rise over the first epoch", changes: { "train.schedule.warmupEpochs": 1 } },
    },
  ];
}

/** Learning rates that do not suit a training. */
export const learningRateCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: ["learning-rate-too-high"],
  actsAtStart: ["learning-rate-too-high", "warm-up-missing"],
  explains: {
    "learning-rate-too-high": [
      "scale-collapsed",
      "scale-rate-too-high",
      "outlier-range",
      "saturated",
      "gradient-mismatch",
      "bad-initial-scale",
      "batch-norm-stale",
      "heavy-tailed-weights",
      "dead-channels",
      "dead-weights",
      "saturated-weights",
      "oscillation",
      "learning-rate-not-lowered",
      "warm-up-missing",
      "capacity",
    ],
    "learning-rate-too-low": ["gradient-mismatch", "capacity", "bad-initial-scale", "saturated"],
  },
  find,
};
