/**
 * Mixed precision: which bits each layer should have, so that a budget is kept and the least is lost.
 *
 * Every layer's weights and every stored activation are quantized alone to each number of bits, with the ranges of the
 * least squared error and without training, and the distance of the network's outputs from the float ones is measured on
 * training samples. The sum of these distances is what a mix is predicted to cost, and the least sum within the budget
 * is found exactly (mixed-solve.ts). That the parts add up is an assumption: the result holds the measured whole too.
 */

import { resolve } from "node:path";
import { defined } from "../../base/defined.ts";
import { requireFloat } from "../../compile/passes/without-quantizers.ts";
import { resolveTrainingConfig } from "../../config/config.ts";
import { resolvePaths } from "../../config/path-keys.ts";
import { quantizationOf } from "../../config/quantization.ts";
import type { TrainingConfig } from "../../config/schema/schema.ts";
import type { ConfigOverride } from "../../config/source.ts";
import { ConfigError } from "../../errors.ts";
import { type Network, withParameterValues } from "../../ir/network.ts";
import { defaultPreset } from "../../qconfig/presets.ts";
import type { LoadedRun } from "../../train/load-run.ts";
import { engineOf } from "../../train/run.ts";
import { makeNetwork } from "../../train/setup.ts";
import { freeLayers, type KeepOptions, withLayerBits } from "./config.ts";
import type { DistanceKind } from "./distance.ts";
import {
  type Candidates,
  type MeasuredProblem,
  type MeasureParts,
  type MixProgress,
  measureProblem,
} from "./measure.ts";
import { bitsByName, type MixedLayerBits, type MixOutcome, mixedLayers, outcome } from "./outcome.ts";
import { CalibratedNetworks } from "./ranges.ts";
import { calibrationData, FloatSubject } from "./sensitivity.ts";
import { costOf, isWithin, type MixAssignment, type MixBudget, predictedIncrease, solveMix } from "./solve.ts";

/** Bits that all free layers have. */
export interface UniformBits {
  readonly weightBits: number;
  readonly activationBits: number;
}

/** Budget, candidates and data of a mix. */
export interface MixOptions extends Partial<KeepOptions> {
  /** Limits, or a uniform configuration whose size and bit operations are not to be passed. */
  readonly budget: MixBudget | UniformBits;
  /** Default for both: 2, 3, 4, 5, 6 and 8 bits. */
  readonly candidates?: Partial<Candidates>;
  /** Quantization recipe; default: the run's own, `lsq` for a float run. */
  readonly preset?: string;
  /** Training samples to measure on. Default 256. */
  readonly samples?: number;
  /** Changes of the configuration that the mix is to be trained with. */
  readonly overrides?: readonly ConfigOverride[];
  readonly signal?: AbortSignal;
  /** Called before each measurement and each search of a range, and whenever the work changes. */
  readonly onProgress?: (progress: MixProgress) => void;
}

/** The bits that `mix` chose, with measured and predicted losses. */
export interface Mix {
  readonly distance: DistanceKind;
  readonly samples: number;
  readonly budget: MixBudget;
  readonly layers: readonly MixedLayerBits[];
  readonly mixed: MixOutcome;
  readonly uniform: readonly MixOutcome[];
  /** The uniform configuration to compare with: the budget's own, or the one of the least loss within it. */
  readonly baseline: UniformBits | null;
  /** Trains the mix from the run's weights; the same without the layers' bits trains the baseline. */
  readonly config: TrainingConfig;
  readonly uniformConfig: TrainingConfig;
}

/** A trained run, or without a folder a model's file with its data. */
export interface MixSource extends Pick<LoadedRun, "config" | "network" | "data"> {
  readonly folder?: string;
}

const defaultBits = [2, 3, 4, 5, 6, 8];

/**
 * The best bits for each layer of a trained run, or of a model's file.
 *
 * @throws ConfigError when the budget cannot be kept, or quantizers stand where layers do not own them (`everyModule`).
 *
 * @example
 * const mix = await mixBits(await loadRun(runFolder), {
 *   budget: { weightBits: 3, activationBits: 3 },
 *   candidates: { weightBits: [2, 3, 4], activationBits: [3] },
 *   samples: 16,
 * });
 * console.log(mix.layers.map(({ layer, weightBits }) => `${layer}: ${weightBits}`));
 */
export async function mixBits(run: MixSource, options: MixOptions): Promise<Mix> {
  const base = baseConfig(run, options);
  const { quantization } = base;
  if (quantization.placement !== "fused") {
    throw new ConfigError("layers choose the bits of their inputs only with the placement fused", {
      where: "quantization.placement",
      remedy: "Give --preset lsq, or another preset that quantizes layers' inputs.",
    });
  }
  const float = floatNetwork(run);
  requireFloat(float, run.folder ?? float.name);
  const { keep = [], firstAndLast = false, samples = 256 } = options;
  const free = freeLayers(float, { keep, firstAndLast });
  const { engine, target } = await engineOf(base.config);
  const data = await calibrationData(run.data.train, samples, run.config.seed);
  const shared = { data, engine, target, ...defined({ signal: options.signal }) };
  const subject = await FloatSubject.create(float, shared);
  const parts: MeasureParts = {
    ...shared,
    float,
    networks: new CalibratedNetworks({ ...shared, float }),
    config: quantizationOf(quantization),
    free,
    candidates: candidatesOf(options),
    subject,
    ...defined({ onProgress: options.onProgress }),
  };
  try {
    return await mixMeasured(base, parts, options);
  } finally {
    await subject.release();
  }
}

/** Measures, solves, and measures what comes out. */
async function mixMeasured(
  base: ReturnType<typeof baseConfig>,
  parts: MeasureParts,
  { budget }: MixOptions,
): Promise<Mix> {
  const { quantization } = base;
  const { data, float, candidates, onProgress } = parts;
  const common = candidates.weightBits.filter((bits) => candidates.activationBits.includes(bits)).length;
  // The mix and the uniform configurations are measured as a whole after all parts.
  const wholes = common + ("weightBits" in budget && budget.weightBits === budget.activationBits ? 1 : 2);
  let parted = 0;
  const problem = await measureProblem({
    ...parts,
    onProgress: ({ done, total, doing }) => {
      parted = total;
      onProgress?.({ done, total: total + wholes, doing });
    },
  });
  const uniforms = uniformAssignments(problem, parts.candidates);
  const limits = "weightBits" in budget ? limitsOfUniform(problem, uniforms, budget) : budget;
  const best = await solveMix(problem, limits);
  const baseline = "weightBits" in budget ? budget : bestUniform(problem, uniforms, limits);
  const shown = uniforms.filter(({ bits }) => bits.weightBits === bits.activationBits || sameBits(bits, baseline));
  const whole = (done: number, name: string, assignment: MixAssignment) => {
    onProgress?.({ done: parted + done, total: parted + shown.length + 1, doing: `measuring ${name} as a whole` });
    return outcome(parts, problem, name, assignment);
  };
  const uniform: MixOutcome[] = [];
  for (const [index, { bits, assignment }] of shown.entries()) {
    uniform.push(await whole(index, uniformName(bits), assignment));
  }
  const mixed = await whole(shown.length, "mixed", best);
  const bits = baseline ?? { weightBits: quantization.weightBits, activationBits: quantization.activationBits };
  const uniformConfig = { ...base.config, quantization: { ...quantization, ...bits } };
  return {
    distance: data.distance,
    samples: data.samples,
    budget: limits,
    layers: mixedLayers(float, problem, best),
    mixed,
    uniform,
    baseline: baseline ?? null,
    config: {
      ...uniformConfig,
      quantization: withLayerBits(uniformConfig.quantization, bitsByName(problem, best)),
    },
    uniformConfig,
  };
}

/** `W3A4` */
export function uniformName({ weightBits, activationBits }: UniformBits): string {
  return `W${weightBits}A${activationBits}`;
}

function sameBits(one: UniformBits, other: UniformBits | undefined): boolean {
  return one.weightBits === other?.weightBits && one.activationBits === other.activationBits;
}

/** The configuration that the mix will be trained with, before its bits: a float run learns ten times slower then. */
function baseConfig({ config, folder }: MixSource, { preset, overrides = [] }: MixOptions) {
  const { quantization, train } = config;
  const isFloat = quantization === null;
  const { optimizer } = train;
  // The default for the weights of a file is low already.
  const slower = { ...optimizer, learningRate: optimizer.learningRate / (folder === undefined ? 1 : 10) };
  const kept =
    isFloat || (preset !== undefined && preset !== quantization.preset)
      ? { preset: preset ?? defaultPreset }
      : quantization;
  const { stages: _lowering, ...rest } = { stages: undefined, ...kept };
  const document = {
    ...config,
    train: isFloat ? { ...train, optimizer: slower } : train,
    quantization: rest,
    ...(folder === undefined ? {} : { from: folder }),
  };
  // The configuration is written to a file in another folder.
  resolvePaths(document, (given) => resolve(given));
  const resolved = resolveTrainingConfig({ name: "mix", text: JSON.stringify(document) }, overrides);
  if (resolved.quantization !== null) return { config: resolved, quantization: resolved.quantization };
  throw new ConfigError("a float network has no bits to choose", { where: "quantization", remedy: "Give a preset." });
}

function floatNetwork({ config, data, network }: MixSource): Network {
  const values = new Map(network.parameters.map(({ name, value }) => [name, value]));
  const float = makeNetwork(config, data);
  return { ...float, ...withParameterValues(float, values) };
}

function candidatesOf({ candidates, budget }: MixOptions): Candidates {
  const own = "weightBits" in budget ? budget : undefined;
  const list = (bits: readonly number[] | undefined, extra: number | undefined) =>
    [...new Set([...(bits ?? defaultBits), ...(extra === undefined ? [] : [extra])])].sort((a, b) => a - b);
  return {
    weightBits: list(candidates?.weightBits, own?.weightBits),
    activationBits: list(candidates?.activationBits, own?.activationBits),
  };
}

interface Uniform {
  readonly bits: UniformBits;
  readonly assignment: MixAssignment;
}

function uniformAssignments({ layers, activations }: MeasuredProblem, candidates: Candidates): Uniform[] {
  const of = <Option extends { readonly bits: number }>(options: readonly Option[], bits: number) =>
    options.filter((option) => option.bits === bits);
  return candidates.weightBits.flatMap((weightBits) =>
    candidates.activationBits.map((activationBits) => ({
      bits: { weightBits, activationBits },
      assignment: {
        weights: layers.flatMap(({ options }) => of(options, weightBits)),
        activations: activations.flatMap(({ options }) => of(options, activationBits)),
      },
    })),
  );
}

function limitsOfUniform(problem: MeasuredProblem, uniforms: readonly Uniform[], bits: UniformBits): MixBudget {
  const own = uniforms.find((uniform) => sameBits(uniform.bits, bits));
  if (own === undefined) throw new ConfigError(`${uniformName(bits)} was not measured`, { where: "budget" });
  const { bytes, bitOperations } = costOf(problem, own.assignment);
  return { bytes, bitOperations };
}

function bestUniform(problem: MeasuredProblem, uniforms: readonly Uniform[], budget: MixBudget) {
  return uniforms
    .filter(({ assignment }) => isWithin(costOf(problem, assignment), budget))
    .sort((a, b) => predictedIncrease(a.assignment) - predictedIncrease(b.assignment))[0]?.bits;
}
