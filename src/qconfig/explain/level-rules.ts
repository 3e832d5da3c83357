/**
 * Rules about levels and scales: which of the requested levels are effective, and torch's ways of losing some.
 * The arithmetic behind them is in ../shared/research/anchors.md §3, taken from torch 1.13.
 */
import { roundHalfEven } from "../../base/rounding.ts";
import { histogram } from "../../observers/histogram.ts";
import { observedCodes, uniformParameters } from "../../quantizers/arithmetic/uniform-parameters.ts";
import { advisedPresets } from "../presets.ts";
import { codeRange } from "../tensor-quantization.ts";
import { bitsText, hasTorchRange, type Rule, roundedPercent } from "./rule.ts";

const { fround } = Math;

const reduceRange: Rule = ({ site, tensor }) => {
  if (site.asked?.reduceRange !== true) return undefined;
  const given = codeRange({ ...site.asked, reduceRange: false }, tensor.nonNegative);
  const { quantMin, quantMax, levels, bitsAsked } = tensor;
  return {
    code: "reduce-range",
    severity: "error",
    what: `reduce_range halves the codes ${given.min}..${given.max} to ${quantMin}..${quantMax}: the ${bitsAsked} bits are ${bitsText(levels)}, ${levels} levels.`,
    evidence: { levelsAsked: given.max - given.min + 1, levels },
    change: { kind: tensor.kind, key: "reduceRange", from: "true", to: "false" },
  };
};

const reduceRangeAsymmetric: Rule = ({ site, tensor }) => {
  if (site.asked?.reduceRange !== true) return undefined;
  const given = codeRange({ ...site.asked, reduceRange: false }, tensor.nonNegative);
  if (given.min !== -given.max) return undefined;
  return {
    code: "reduce-range-asymmetric",
    severity: "warning",
    what: `Halved with floor division, the symmetric codes ${given.min}..${given.max} become ${tensor.quantMin}..${tensor.quantMax}, one more below 0 than above.`,
    evidence: { quantMin: tensor.quantMin, quantMax: tensor.quantMax },
    change: { kind: tensor.kind, key: "reduceRange", from: "true", to: "false" },
  };
};

/** Levels that differ from 2^bits for another reason than reduce_range. */
const levelCount: Rule = (subject) => {
  const { site, tensor } = subject;
  const { levels, levelsAsked, bitsAsked, quantizer, kind } = tensor;
  // A grid that is symmetric around 0 has one level less; the table says so.
  if (site.asked?.reduceRange === true || levels === levelsAsked || levels === levelsAsked - 1) return undefined;
  const evidence = { levelsAsked, levels };
  if (levels > levelsAsked && site.spec.options.convention === "fused") {
    return {
      code: "limits-lost",
      severity: "error",
      what: `FusedMovingAvgObsFakeQuantize has its own limits, 0..255, which override those of its observer: ${levels} levels instead of ${levelsAsked}.`,
      evidence,
      change: { kind, key: "limits", from: "quant_min=…, quant_max=…", to: "on the module" },
    };
  }
  if (levels > levelsAsked) {
    return {
      code: "more-levels",
      severity: "warning",
      what: `${quantizer} has ${levels} distinct levels at ${bitsAsked} bits, ${bitsText(levels)} bits' worth: they do not fit a ${bitsAsked}-bit code.`,
      evidence,
      change: null,
    };
  }
  return {
    code: "fewer-levels",
    severity: "info",
    what: `${quantizer} has ${levels} levels (codes ${tensor.codes}) where ${bitsAsked} bits hold ${levelsAsked}.`,
    evidence,
    change: null,
  };
};

const unpassedRange: Rule = (subject) => {
  const { site, tensor } = subject;
  if (!hasTorchRange(subject) || site.spec.options.convention !== "pre-1.12") return undefined;
  const codes = observedCodes(site.spec);
  const share = (tensor.quantMax - tensor.quantMin) / (codes.max - codes.min);
  if (share >= 1) return undefined;
  return {
    code: "pre-1.12-range",
    severity: "error",
    what: `Before torch 1.12 the scale came from ${codes.min}..${codes.max} and the clamp from ${tensor.quantMin}..${tensor.quantMax}: only ${roundedPercent(share)} of the observed range can be represented.`,
    evidence: { representableShare: share },
    change: { kind: tensor.kind, key: "convention", from: "pre-1.12", to: "classic" },
  };
};

const histogramBins: Rule = ({ site, tensor }) => {
  const { initializer, histogramLevels } = site.spec.options;
  if (initializer !== histogram.name || typeof histogramLevels !== "number" || histogramLevels <= tensor.levels)
    return undefined;
  return {
    code: "histogram-256-bins",
    severity: "warning",
    what: `torch's HistogramObserver searches the best range for ${histogramLevels} levels, and there are ${tensor.levels}: it keeps outliers that a coarse grid cannot afford.`,
    evidence: { searchedLevels: histogramLevels, levels: tensor.levels },
    change: {
      kind: tensor.kind,
      key: "search",
      from: `options.histogramLevels ${histogramLevels}`,
      to: String(tensor.levels),
    },
  };
};

const fusedKernel: Rule = (subject) => {
  const { site, tensor, observation } = subject;
  if (!hasTorchRange(subject) || site.spec.options.convention !== "fused") return undefined;
  const { min, max } = observation ?? { min: tensor.nonNegative ? 0 : -1, max: 1 };
  const fused = uniformParameters(site.spec, min, max);
  const { convention: _fused, ...options } = site.spec.options;
  const classic = uniformParameters({ ...site.spec, options }, min, max);
  if (fused.scale === classic.scale && fused.zeroPoint === classic.zeroPoint) return undefined;
  return {
    code: "fused-not-classic",
    severity: "warning",
    what: "The fused kernel and the Python observer give the same range different scales; torch trains with the one and converts with the other.",
    evidence: { fusedScale: fused.scale, classicScale: classic.scale },
    change: { kind: tensor.kind, key: "convention", from: "fused", to: "classic" },
  };
};

/** torch divides the largest magnitude by half the span, 1.5 at two bits and 7.5 at four, and not by a code. */
const symmetricSpan: Rule = (subject) => {
  const { site, tensor } = subject;
  const { quantMin, quantMax, options } = site.spec;
  if (!hasTorchRange(subject) || options.scheme !== "symmetric" || quantMin >= 0 || quantMin === -quantMax)
    return undefined;
  if (options.convention === "fused" || options.convention === "pre-1.12") return undefined;
  const scale = fround(1 / ((quantMax - quantMin) / 2));
  const change = {
    kind: tensor.kind,
    key: "quantizer",
    from: site.spec.quantizer,
    to: advisedPresets.learnedRanges,
  } as const;
  if (quantMax === 1) {
    return {
      code: "symmetric-two-bits",
      severity: "warning",
      what: "A symmetric scale of max/1.5 puts the levels at −1.333, −0.667, 0 and 0.667 of the largest magnitude: the largest value becomes 0.667 of itself and gets no gradient.",
      evidence: { largestLevelShare: scale, smallestLevel: -2 * scale },
      change,
    };
  }
  const reached = roundHalfEven(fround(-1 * fround(1 / scale)));
  if (reached <= quantMin || tensor.bitsAsked > 5) return undefined;
  return {
    code: "lowest-code-unreached",
    severity: "info",
    what: `With the scale max/${(quantMax - quantMin) / 2} the lower end of the range has the code ${reached}: ${quantMin} is only used beyond it, ${tensor.levels - 1} levels remain.`,
    evidence: { levels: tensor.levels, levelsReached: tensor.levels - 1 },
    change: null,
  };
};

/** In the order of their findings. */
export const levelRules: readonly Rule[] = [
  reduceRange,
  reduceRangeAsymmetric,
  levelCount,
  unpassedRange,
  symmetricSpan,
  histogramBins,
  fusedKernel,
];
