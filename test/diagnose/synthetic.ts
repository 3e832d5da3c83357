/** Measurements and facts made by hand: those of a healthy run, with what a test changes in them. */
import type { Facts, SiteFacts } from "../../src/diagnose/facts.ts";
import type { ProbeRecord, SiteMeasurement, WeightMeasurement } from "../../src/diagnose/probe/measurement.ts";

export const layer = "layer1.0.conv1";

export function siteFacts(change: Partial<SiteFacts> = {}): SiteFacts {
  return {
    name: `${layer}.input.quantizer`,
    kind: "activation",
    tensor: `${layer}.input`,
    layer,
    quantizer: "lsq",
    bits: 4,
    quantMin: 0,
    quantMax: 15,
    levels: 16,
    perChannel: false,
    nonNegative: true,
    observer: undefined,
    rangeOfWholeType: false,
    learned: true,
    edge: undefined,
    intermediate: false,
    ...change,
  };
}

export function facts(sites: readonly SiteFacts[] = [siteFacts()], change: Partial<Facts> = {}): Facts {
  const recipe = { epochs: 10, learningRate: 0.05 };
  return {
    sites,
    layersOfWeights: new Map([[`${layer}.weight`, layer]]),
    classes: 10,
    recipe,
    from: "runs/float",
    floatRun: "runs/float",
    settings: undefined,
    ...change,
  };
}

export function siteMeasurement(change: Partial<SiteMeasurement> = {}): SiteMeasurement {
  return {
    name: `${layer}.input.quantizer`,
    kind: "activation",
    min: 0,
    max: 4,
    magnitude: { p50: 0.4, p975: 2, p999: 3.2, max: 4 },
    kurtosis: 4,
    channelDisparity: 1.5,
    largestChannel: 0,
    scale: 0.2,
    zeroPoint: 0,
    coverage: 0.9,
    distinctCodes: 16,
    entropy: 2.8,
    deadShare: 0.08,
    clippedShare: 0.01,
    negativeShare: 0,
    lostNegativeShare: 0,
    levelsBelowZero: 0,
    sqnr: 20,
    optimalSqnr: 20.5,
    scaleRatio: 1.1,
    initialRatio: 1.05,
    floorShare: 0,
    gradientCosine: 0.9,
    outsideCount: 10,
    outsideGradientShare: 0,
    scaleBalance: 1,
    scaleGradient: 0.01,
    histogram: [],
    codes: [],
    ...change,
  };
}

export function weightMeasurement(change: Partial<WeightMeasurement> = {}): WeightMeasurement {
  return {
    name: `${layer}.weight`,
    norm: 10,
    gradientNorm: 0.1,
    gradientCosine: 0.9,
    distance: 0.1,
    update: 0.002,
    updateInSteps: 0.01,
    flipRate: 0.003,
    oscillatingShare: 0.001,
    ...change,
  };
}

export function record(step: number, change: Partial<ProbeRecord> = {}): ProbeRecord {
  return {
    schemaVersion: 1,
    step,
    epoch: step / 100,
    observing: true,
    batchNorm: "batch",
    learningRate: 0.05,
    loss: 0.4,
    accuracy: 0.85,
    floatLoss: 0.38,
    floatAccuracy: 0.86,
    runningLoss: 0.41,
    recent: { steps: step === 0 ? 0 : 80, mean: 0.42, max: 0.7, notFinite: 0 },
    sites: [siteMeasurement()],
    weights: [weightMeasurement()],
    norms: [{ name: "bn1", divergence: 0.01, meanShift: 0.05, varianceShift: 0.05 }],
    additions: [{ name: "layer1.0.add", ratio: 1.2, smallerSqnr: 18 }],
    ...change,
  };
}

/** Probes over a whole run of ten epochs. */
export function records(change: Partial<ProbeRecord> = {}, atStart: Partial<ProbeRecord> = change): ProbeRecord[] {
  return [record(0, atStart), record(320, change), record(640, change), record(960, change)];
}
