/** Measurements and facts made by hand: those of a healthy run, with what a test changes in them. */
import { randomStream } from "../../src/base/random.ts";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import type { DataFacts, PartFacts } from "../../src/diagnose/data-facts.ts";
import type { Examination, ExaminedPart } from "../../src/diagnose/examination.ts";
import type { Facts, SiteFacts } from "../../src/diagnose/facts.ts";
import type { History } from "../../src/diagnose/history.ts";
import type {
  NormMeasurement,
  ProbeRecord,
  SiteMeasurement,
  WeightMeasurement,
} from "../../src/diagnose/probe/measurement.ts";
import { makeModel } from "../../src/models/index.ts";
import type { TrainingRecipe } from "../../src/train/loop/recipe.ts";

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
    scaleChange: 0.05,
    largestScaleChange: 0.2,
    learned: [{ name: "scale", kind: "factor", change: 0.05, largestChange: 0.2, update: 0.001 }],
    deadChannels: 0,
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

export function normMeasurement(change: Partial<NormMeasurement> = {}): NormMeasurement {
  return {
    name: "bn1",
    divergence: 0.01,
    meanShift: 0.05,
    varianceShift: 0.05,
    scaleDistance: 0.05,
    shiftDistance: 0.05,
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
    norms: [normMeasurement()],
    additions: [{ name: "layer1.0.add", ratio: 1.2, smallerSqnr: 18 }],
    ...change,
  };
}

/** Probes over a whole run of ten epochs. */
export function records(change: Partial<ProbeRecord> = {}, atStart: Partial<ProbeRecord> = change): ProbeRecord[] {
  return [record(0, atStart), record(320, change), record(640, change), record(960, change)];
}

/** The facts of a run whose whole recipe is known: 10 epochs of 96 steps. */
export function factsOfRecipe(change: Partial<TrainingRecipe>): Facts {
  const recipe: TrainingRecipe = {
    epochs: 10,
    batchSize: 32,
    loss: { name: "crossEntropy", labelSmoothing: 0 },
    optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
    learningRate: 0.05,
    learningRateScale: rates({}),
    weightDecay: decays({}),
    schedule: schedule({}),
    cropPadding: 2,
    horizontalFlip: true,
    seed: 0,
  };
  return facts([siteFacts()], { recipe: { ...recipe, ...change } });
}

export function rates(change: Partial<TrainingRecipe["learningRateScale"]>): TrainingRecipe["learningRateScale"] {
  return { weights: 1, normalization: 1, quantizers: 1, ...change };
}

export function decays(change: Partial<TrainingRecipe["weightDecay"]>): TrainingRecipe["weightDecay"] {
  return { weights: 1e-4, normalization: 0, quantizers: 0, ...change };
}

export function schedule(change: Partial<TrainingRecipe["schedule"]>): TrainingRecipe["schedule"] {
  const cosine = { name: "cosine", gamma: 0.1, milestones: [], finalLearningRate: 0 } as const;
  return { ...cosine, warmupEpochs: 0, warmupSteps: 0, ...change };
}

/** A teacher whose network does not matter. */
export function distillation(weight: number): NonNullable<TrainingRecipe["distillation"]> {
  const teacher = makeModel("mlp", { sampleShape: [4], classes: 2, width: 2 }, randomStream(0, "weights"));
  return { fromEpoch: 0, weight, temperature: 4, outputs: "classes", teacher };
}

/** Facts about normalized data of two classes. */
export function dataFacts(train: Partial<PartFacts> = {}, test: Partial<PartFacts> = {}): DataFacts {
  const part = { count: 3072, mean: 0, deviation: 1, largest: 4, typicalLargest: 2.5, shares: [0.5, 0.5] };
  return { train: { ...part, ...train }, test: { ...part, count: 1000, repeated: 0, ...test } };
}

/** The examination of a network that is as good on both parts as it is without quantizers. */
export function examination(test: Partial<ExaminedPart> = {}, train: Partial<ExaminedPart> = {}): Examination {
  const good = { accuracy: 0.85, loss: 0.4 };
  const confusion = [
    [43, 7],
    [8, 42],
  ];
  const part: ExaminedPart = { samples: 100, quantized: good, reestimated: good, float: good, confusion };
  const testPart = { ...part, ...test };
  return { train: { ...part, ...train }, test: testPart, weightsOnly: good, activationsOnly: good };
}

/** A finished float run. */
export function history(accuracy: number, text = ""): History {
  return { folder: "runs/float", config: resolveTrainingConfig({ name: "float", text }), accuracy, epochs: 10 };
}
