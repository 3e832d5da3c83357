/** Where the weights began, and channels that say nothing (rows 13, 38 and 39). */

import { fitOf } from "../../confidence/expectation.ts";
import { type CauseFamily, type CauseFinding, evidence, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import type { ProbeRecord } from "../../probe/measurement.ts";
import { meanOf, wayOf } from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "random-start": 13, "dead-channels": 38, "weak-start": 39 } as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  return [...randomStart(input), ...deadChannels(input), ...weakStart(input)];
}

function randomStart(input: DiagnosisInput): Found[] {
  const { records, facts, history } = input;
  // A run that began with another one may have begun with a weak one, which is a cause of its own.
  if (history !== undefined) return [];
  const [first] = records;
  const last = records.at(-1);
  if (first === undefined || last === undefined || first.step > 0 || facts.sites.length === 0) return [];
  // Only for classes is the loss of an untrained network known.
  if (facts.classes === undefined) return [];
  const chance = Math.log(facts.classes);
  const distance = wayOf(last);
  const bits = Math.min(...facts.sites.map((site) => site.bits));
  const isFromRun = facts.from !== undefined;
  return [
    {
      cause: "random-start",
      title: isFromRun
        ? `The weights of ${facts.from}, which the run starts from, are hardly better than chance`
        : "The run starts from random weights instead of a float training",
      layers: [],
      evidence: [
        evidence("float loss at step 0 / chance", first.floatLoss / chance, 0.85, "above"),
        evidence("float accuracy at step 0", first.floatAccuracy, 2 / facts.classes, "below"),
        evidence("‖w − w₀‖ / ‖w₀‖", distance, 0.5, "above"),
      ],
      confidence: (bits <= 4 ? 0.85 : 0.5) * ramp(first.floatLoss / chance, 0.75, 0.95) * (1 - 0.6 * fitOf(input)),
      remedy:
        isFromRun || facts.floatRun === undefined
          ? {
              title: isFromRun
                ? "train longer in float, and start from that run"
                : "train in float first, and start from that run (from)",
              changes: {},
            }
          : { title: "start from the float run", changes: { from: facts.floatRun } },
    },
  ];
}

function deadChannels({ records }: DiagnosisInput): Found[] {
  const [first] = records;
  const last = records.at(-1);
  if (first === undefined || last === undefined) return [];
  // Channels that died in training are a consequence of what killed them: these were dead when it began.
  const share = Math.min(deadIn(first), deadIn(last));
  return [
    {
      cause: "dead-channels",
      title: `${Math.round(100 * share)} % of the channels of the activations are 0 for every sample: they are dead in float too`,
      layers: [],
      evidence: [evidence("share of channels that hold one value", share, 0.3, "above")],
      confidence: 0.92 * ramp(share, 0.2, 0.4),
      remedy: null,
    },
  ];
}

function deadIn({ sites }: ProbeRecord): number {
  return meanOf(sites.filter(({ kind }) => kind === "activation").map(({ deadChannels }) => deadChannels));
}

/** The run that the weights came from was not finished: without quantizers, this one is much better than it. */
function weakStart({ history, examination, facts: { classes }, records }: DiagnosisInput): Found[] {
  if (history?.accuracy === undefined || classes === undefined) return [];
  const float = examination?.test.float.accuracy ?? Number.NaN;
  const gain = float - history.accuracy;
  const lossAtStart = (records[0]?.floatLoss ?? Number.NaN) / Math.log(classes);
  const poor = Math.max(
    ramp(gain, 0.08, 0.2),
    ramp(lossAtStart, 0.5, 0.8) * ramp(history.accuracy, 3 / classes, 1.5 / classes),
  );
  return [
    {
      cause: "weak-start",
      title: `The float run ${history.folder} reached only ${(100 * history.accuracy).toFixed(1)} %: it is hardly trained`,
      layers: [],
      evidence: [
        evidence("accuracy without quantizers − of the float run", gain, 0.1, "above"),
        evidence("float loss at step 0 / chance", lossAtStart, 0.6, "above"),
      ],
      confidence: 0.93 * poor,
      remedy: { title: "train longer in float, and start from that run", changes: {} },
    },
  ];
}

/** A start that is to blame. */
export const startCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: ["weak-start"],
  actsAtStart: ["random-start", "weak-start"],
  explains: {
    "random-start": ["bad-initial-scale", "gradient-mismatch", "outlier-range", "capacity", "saturated"],
    "weak-start": ["random-start", "learning-rate-too-low", "bad-initial-scale", "gradient-mismatch", "too-few-steps"],
    "dead-channels": ["outlier-range", "bad-initial-scale"],
  },
  find,
};
