/** How far a run is below float, and what its quantizers cost, as one sentence. */

import { type LossParts, lossParts, shortfallOf } from "../../diagnose/confidence/expectation.ts";
import type { RunDiagnosis } from "../../diagnose/diagnose-run.ts";
import type { DiagnosisInput } from "../../diagnose/input.ts";
import { highConfidence } from "../../runs/finding.ts";
import { isShare, showMetric } from "../../train/loop/metric-text.ts";
import type { MetricName } from "../../train/loop/metrics.ts";
import { shownPath } from "./shown-path.ts";

/** A difference of accuracy from which on it is worth a sentence without an ablation: half a point. */
const worthASentence = 0.005;

/**
 * Returns what an ablation says of a run below float, or where none was made and nothing was found, that one would say it;
 * undefined where there is nothing to say.
 */
export function gapText({
  folder,
  findings,
  ablation,
  gap,
}: Pick<RunDiagnosis, "folder" | "findings" | "ablation" | "gap">): string | undefined {
  const metric = ablation?.metric ?? gap?.metric;
  if (metric === undefined) return undefined;
  const accuracy = gap?.accuracy ?? ablation?.quantized.accuracy ?? Number.NaN;
  const float = gap?.float ?? ablation?.float.accuracy ?? Number.NaN;
  const reference = gap === undefined ? "the same weights in float" : `float (${shownPath(gap.floatRun)})`;
  const both = `${showMetric(metric, float)} → ${showMetric(metric, accuracy)}`;
  const head =
    float - accuracy < 0.0005
      ? `Not below ${reference}: ${both}`
      : `${difference(metric, float - accuracy)} below ${reference}: ${both}`;
  if (ablation !== undefined) {
    const cost = (part: "weightsOnly" | "activationsOnly") =>
      difference(metric, ablation.float.accuracy - ablation[part].accuracy);
    const parts = `activations alone cost ${cost("activationsOnly")}, weights alone ${cost("weightsOnly")} (${ablation.samples} test samples)`;
    return `${head}; ${parts}; ${verdictOn(findings)}.`;
  }
  if (findings.length > 0 || float - accuracy < worthASentence) return undefined;
  return `${head}; nothing is misconfigured. What costs it: subbyte diagnose ${folder} --ablate`;
}

function verdictOn(findings: RunDiagnosis["findings"]): string {
  if (findings.length === 0) return "nothing is misconfigured";
  const certain = findings.filter(({ confidence }) => confidence >= highConfidence).length;
  return certain === 0 ? "no finding is of high confidence" : "see the findings";
}

/** `4.2 points`; of a metric that is no share, its difference. */
function difference(metric: MetricName, value: number): string {
  if (!isShare(metric)) return value.toFixed(3);
  const points = Number((100 * value).toFixed(1));
  return `${points === 0 ? "0" : points} ${Math.abs(points) === 1 ? "point" : "points"}`;
}

/**
 * Returns whether a run is as good as its bits allow, and by how much and why it is not, as one line; undefined for a network without quantizers, for one that does not learn classes, and where no accuracy of
 * float is known.
 */
export function expectationText(input: DiagnosisInput): string | undefined {
  const { facts, history } = input;
  const shortfall = shortfallOf(input);
  if (shortfall === undefined || facts.sites.length === 0 || facts.classes === undefined) return undefined;
  const { float, reached, expectedLoss, noise, missing } = shortfall;
  const reference = history?.accuracy === undefined ? "the same weights without quantizers" : "float";
  const both = `${reference} ${percent(float)}, this run ${percent(reached)}`;
  if (missing <= 0) {
    const end = float <= reached ? "not below float" : "as good as can be expected";
    return `${capital(both)}, expected loss at these bits ${points(expectedLoss)}, ± ${points(noise)} by the number of test samples: ${end}.`;
  }
  const head = `${points(float - reached - expectedLoss)} are missing beyond the ${points(expectedLoss)} that these bits cost: ${both}.`;
  const parts = lossParts(input);
  return parts === undefined ? head : `${head} ${sideText(parts)}`;
}

function sideText({ side, weights, activations, withoutQuantizers, reestimated }: LossParts): string {
  if (side === "neither") {
    return `The same weights without quantizers reach only ${percent(withoutQuantizers)}, so the training or the data is to blame.`;
  }
  if (side === "statistics") {
    return `With statistics of batch normalization estimated again it reaches ${percent(reestimated)}: the running statistics are to blame.`;
  }
  const costs = `Quantized weights alone cost ${points(weights)}, quantized activations alone ${points(activations)}`;
  return `${costs}: ${side === "both" ? "both are" : `the ${side} are`} to blame.`;
}

/** `12.3 points`; what is measured as a gain costs nothing. */
export function points(value: number): string {
  const shown = Number((100 * Math.max(0, value)).toFixed(1));
  return `${shown} ${shown === 1 ? "point" : "points"}`;
}

function percent(accuracy: number): string {
  return showMetric("accuracy", accuracy);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
