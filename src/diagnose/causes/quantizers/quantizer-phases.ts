/** When quantizers act, and what holds weights at their codes (rows 32 to 34). */

import { type CauseFamily, type CauseFinding, evidence, logRamp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import { meanOf } from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "never-quantized": 32, "weights-frozen": 33, "dampening-too-strong": 34 } as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  return [...neverQuantized(input), ...frozen(input), ...dampened(input)];
}

function neverQuantized({ facts: { recipe } }: DiagnosisInput): Found[] {
  if (recipe === undefined) return [];
  const { epochs, quantizeWeightsFromEpoch = 0, quantizeActivationsFromEpoch = 0 } = recipe;
  const late = [
    { what: "weights", from: quantizeWeightsFromEpoch, key: "quantization.quantizeWeightsFromEpoch" },
    { what: "activations", from: quantizeActivationsFromEpoch, key: "quantization.quantizeActivationsFromEpoch" },
  ].filter(({ from }) => from > 0.75 * epochs);
  const [first] = late;
  if (first === undefined) return [];
  const never = late.every(({ from }) => from >= epochs);
  return [
    {
      cause: "never-quantized",
      title: `The ${late.map(({ what }) => what).join(" and ")} are ${never ? "never" : "hardly ever"} quantized while the network trains, and always when it is evaluated`,
      layers: [],
      evidence: late.map(({ what, from }) =>
        evidence(`${what} quantized from epoch, of ${epochs}`, from, epochs, "above"),
      ),
      confidence: never ? 0.97 : 0.7,
      remedy: {
        title: "quantize from the start",
        changes: Object.fromEntries(late.map(({ key }) => [key, 0])),
      },
    },
  ];
}

function frozen({ facts: { recipe }, records }: DiagnosisInput): Found[] {
  const freezing = recipe?.freezing;
  if (freezing === undefined) return [];
  const flips = meanOf(records.slice(1).flatMap(({ weights }) => weights.map(({ flipRate }) => flipRate)));
  return [
    {
      cause: "weights-frozen",
      title: "Weights are frozen at their codes as soon as they move: the threshold of freezing is too low",
      layers: [],
      evidence: [
        evidence("threshold of freezing at the start", freezing.startThreshold, 0.01, "below"),
        evidence("codes that change a step", flips, 0.001, "below"),
      ],
      confidence: 0.85 * logRamp(freezing.startThreshold, 0.01, 1e-4),
      remedy: {
        title: "freeze only what oscillates",
        changes: { "quantization.freezing.startThreshold": 0.1, "quantization.freezing.endThreshold": 0.01 },
      },
    },
  ];
}

function dampened({ facts: { recipe }, records }: DiagnosisInput): Found[] {
  const dampening = recipe?.dampening;
  if (dampening === undefined) return [];
  const flips = meanOf(records.slice(1).flatMap(({ weights }) => weights.map(({ flipRate }) => flipRate)));
  return [
    {
      cause: "dampening-too-strong",
      title: `Dampening of ${dampening.strength} holds the weights at the middle of their bins`,
      layers: [],
      evidence: [
        evidence("strength of dampening", dampening.strength, 10, "above"),
        evidence("codes that change a step", flips, 0.001, "below"),
      ],
      confidence: 0.88 * logRamp(dampening.strength, 3, 100),
      remedy: { title: "dampen less", changes: { "quantization.dampening.strength": 0.1 } },
    },
  ];
}

/** Quantizers that never act in training, or hold the weights. */
export const quantizerPhaseCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: ["never-quantized", "weights-frozen", "dampening-too-strong"],
  explains: {
    "weights-frozen": [
      "random-start",
      "learning-rate-too-low",
      "learning-rate-too-high",
      "scale-collapsed",
      "capacity",
    ],
    "dampening-too-strong": ["learning-rate-too-low", "learning-rate-too-high"],
  },
  find,
};
