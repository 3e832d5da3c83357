/** Whether a run is as good as its bits allow, and by how much and why it is not, as one line. */

import { type LossParts, lossParts, shortfallOf } from "../../diagnose/expectation.ts";
import type { DiagnosisInput } from "../../diagnose/input.ts";
import { showMetric } from "../../train/loop/metric-text.ts";

/**
 * Returns the line; undefined for a network without quantizers, for one that does not learn classes, and where no accuracy of
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
