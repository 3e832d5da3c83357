/** Rules about ranges, signs and layers, and the list of all rules. */
import { observerNamed } from "../../observers/index.ts";
import { mse } from "../../observers/mse.ts";
import { quantizerNamed } from "../../quantizers/index.ts";
import { advisedPresets } from "../presets.ts";
import { levelRules } from "./level-rules.ts";
import { hasTorchRange, type Rule, roundedPercent, type Subject } from "./rule.ts";

const signWasted: Rule = (subject) => {
  const { site, tensor } = subject;
  const zero = zeroCode(subject);
  if (!tensor.nonNegative || zero === undefined || tensor.quantMin >= zero) return undefined;
  const isUniform = hasTorchRange(subject);
  const used = isUniform ? tensor.quantMax - zero + 1 : Math.ceil(tensor.levels / 2);
  // A float format has its sign whether it is needed or not.
  const isChosen = !quantizerNamed(site.spec.quantizer).traits.fixedSign;
  const grid =
    zero === 0 ? "the grid has a sign: the codes below 0 are" : `its zero is the code ${zero}: those below it are`;
  const key = zero === 0 ? "signed" : "scheme";
  const change = zero === 0 ? { from: "true", to: "auto" } : { from: "symmetric", to: "affine" };
  return {
    code: "sign-wasted",
    severity: isChosen ? "error" : "info",
    what: `The tensor leaves a ReLU and ${grid} never used, ${used} of ${tensor.levels} levels remain.`,
    evidence: { levels: tensor.levels, levelsUsed: used },
    change: isChosen ? { kind: tensor.kind, key, ...change } : null,
  };
};

/** The code that stands for 0, where the configuration fixes it; undefined where it follows from the range. */
function zeroCode(subject: Subject): number | undefined {
  const { scheme, convention, zeroPoint } = subject.site.spec.options;
  if (!hasTorchRange(subject)) return 0;
  if (scheme !== "symmetric") return undefined;
  // The fused kernel treats a range with one sign as affine.
  if (convention === "fused") return undefined;
  return typeof zeroPoint === "number" ? zeroPoint : 0;
}

/** Weights have both signs, so codes from 0 on lose a half of them. */
const signLost: Rule = (subject) => {
  const { site, tensor } = subject;
  if (tensor.kind !== "weight" || tensor.nonNegative) return undefined;
  const { levels, quantMin, quantMax } = tensor;
  const change = { kind: tensor.kind, key: "codes" } as const;
  if (site.spec.options.alwaysUnsigned === true && quantMin < 0) {
    return {
      code: "sign-lost",
      severity: "error",
      what: "torch's APoTFakeQuantize has unsigned levels whatever the tensor is: every negative weight becomes 0, or the lowest level where it lies below that.",
      evidence: { levels, levelsUsed: Math.ceil(levels / 2) },
      change: { ...change, key: "quantizer", from: site.spec.quantizer, to: advisedPresets.unevenLevels },
    };
  }
  if (!hasTorchRange(subject) || zeroCode(subject) !== quantMin || quantMin < 0) return undefined;
  // The largest magnitude is half the span of the codes, so the codes above it are beyond every weight.
  const used = Math.floor((quantMax - quantMin) / 2) + 1;
  const half = (quantMax - quantMin + 1) / 2;
  return {
    code: "sign-lost",
    severity: "error",
    what: `The codes ${quantMin}..${quantMax} begin at the zero of a symmetric scale: every negative weight becomes 0, and as the largest magnitude is half of the range, ${used} of ${levels} levels remain.`,
    evidence: { levels, levelsUsed: used },
    change: {
      ...change,
      from: `${quantMin}..${quantMax}`,
      to: `${-Math.floor(half)}..${Math.ceil(half) - 1}`,
    },
  };
};

const negativePartDropped: Rule = ({ tensor, observation, beforeRelu }) => {
  if (!beforeRelu || tensor.nonNegative) return undefined;
  const below = observation === undefined || observation.max <= observation.min ? undefined : belowZero(observation);
  const left = below === undefined ? "part" : `about ${roundedPercent(1 - below)}`;
  return {
    code: "negative-part-dropped",
    severity: "warning",
    what: `The next operator is a ReLU, which drops everything below 0: of the ${tensor.levels} levels only ${left} say anything.`,
    evidence: { levels: tensor.levels, ...(below === undefined ? {} : { usefulShare: 1 - below }) },
    change: { kind: "network", key: "placement", from: "everyModule", to: "fused" },
  };
};

const rangeClipped: Rule = (subject) => {
  const { tensor, observation, site } = subject;
  const reach = observation?.representable;
  if (observation === undefined || reach === undefined || !hasTorchRange(subject)) return undefined;
  // Two-bit symmetric grids end at 0.667 by their own rule, which has a finding of its own.
  if (site.spec.options.scheme === "symmetric") return undefined;
  const span = observation.max - Math.min(observation.min, 0);
  const share = span <= 0 ? 1 : (Math.min(reach.max, observation.max) - Math.max(reach.min, observation.min)) / span;
  if (share >= 0.9) return undefined;
  return {
    code: "range-clipped",
    severity: "warning",
    what: "The grid covers only a part of the observed values: the rest is clipped.",
    evidence: { representableShare: share },
    change: { kind: tensor.kind, key: "quantizer", from: site.spec.quantizer, to: advisedPresets.learnedRanges },
  };
};

/** Learned steps start from a rule of their own, which at many bits reaches far beyond the values. */
const rangeTooWide: Rule = ({ site, tensor, observation }) => {
  const { representable: reach, codesSeen } = observation ?? {};
  if (observation === undefined || reach === undefined || codesSeen === undefined) return undefined;
  const share = (observation.max - observation.min) / (reach.max - reach.min);
  if (!(share < 0.25) || codesSeen * 4 > tensor.levels || tensor.levels < 8) return undefined;
  const learned = site.spec.observer === undefined && site.spec.options.initializer === undefined;
  return {
    code: "range-too-wide",
    severity: "info",
    what: "The grid reaches more than four times as far as the observed values: most codes are not used.",
    evidence: { usedShare: share, levels: tensor.levels },
    change: learned ? { kind: tensor.kind, key: "initializer", from: "the quantizer's own", to: mse.name } : null,
  };
};

const zeroRange: Rule = ({ tensor, observation }) => {
  const { zeroGroups = 0 } = observation ?? {};
  const isEmpty = tensor.shape.some((size) => size === 0);
  if (zeroGroups === 0 && !isEmpty) return undefined;
  return {
    code: "zero-range",
    severity: "warning",
    what: isEmpty
      ? "The tensor has no elements, so nothing is observed: torch leaves scale 1 and zero point 0."
      : "Some channels (or whole tensors) are all 0: torch gives them the scale 1.19e-7, with which any later value is clipped to almost 0 and gets no gradient.",
    evidence: { zeroGroups },
    change: null,
  };
};

const firstAndLast: Rule = ({ tensor, isFirst, isLast }) => {
  if ((!isFirst && !isLast) || tensor.kind !== "weight" || tensor.levels > 64) return undefined;
  return {
    code: "first-last-low-bits",
    severity: "info",
    what: `The first and the last layer are quantized as coarsely as the others (${tensor.levels} levels of weights); they are few and cost accuracy there, which is why published results keep them at 8 bits.`,
    evidence: { levels: tensor.levels },
    change: { kind: "network", key: "endLayers", from: "same", to: "8" },
  };
};

const rangeNotLearned: Rule = (subject) => {
  const { site, tensor } = subject;
  const { observer } = site.spec;
  const isExtremes = observer !== undefined && observerNamed(observer.observer).traits.extremes;
  if (!hasTorchRange(subject) || tensor.kind !== "activation" || !isExtremes || tensor.levels > 16) return undefined;
  return {
    code: "range-not-learned",
    severity: "info",
    what: `The range is that of the observed extremes, and ${tensor.levels} levels are too few for it: an outlier takes most of them. A learned step (lsq) or a range of least error finds a better one.`,
    evidence: { levels: tensor.levels },
    change: { kind: tensor.kind, key: "quantizer", from: site.spec.quantizer, to: advisedPresets.learnedRanges },
  };
};

/** Every rule about a single tensor, in the order of their findings. */
export const rules: readonly Rule[] = [
  ...levelRules,
  rangeClipped,
  rangeTooWide,
  signWasted,
  signLost,
  negativePartDropped,
  zeroRange,
  rangeNotLearned,
  firstAndLast,
];

function belowZero({ min, max }: { readonly min: number; readonly max: number }): number {
  return Math.min(Math.max(-min / (max - min), 0), 1);
}
