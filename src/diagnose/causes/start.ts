/** Where the weights began, and channels that say nothing (rows 38 and 39). */

import { type CauseFamily, type CauseFinding, evidence, ramp } from "../finding.ts";
import type { DiagnosisInput } from "../input.ts";
import type { ProbeRecord } from "../probe/measurement.ts";
import { meanOf } from "./view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "dead-channels": 38, "weak-start": 39 } as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  return [...deadChannels(input), ...weakStart(input)];
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
  actsAtStart: ["weak-start"],
  explains: {
    "weak-start": ["random-start", "learning-rate-too-low", "bad-initial-scale", "gradient-mismatch", "too-few-steps"],
    "dead-channels": ["outlier-range", "bad-initial-scale"],
  },
  find,
};
