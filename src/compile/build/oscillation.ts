/**
 * Against weights that oscillate between two codes: Nagel et al., "Overcoming Oscillations in Quantization-Aware
 * Training", ICML 2022 (arXiv 2203.11086).
 *
 * Dampening (section 4.2, eq. 6–7) pulls a weight towards the middle of its bin: the loss λ·Σ(ŵ − clip(w))² whose
 * gradient reaches w only. Freezing (section 4.3, algorithm 1) tracks how often a code turns back, with an exponential
 * moving average, and fixes a weight whose frequency passes a threshold at its average code.
 *
 * Both need an even grid, which the record of a quantizer gives: a code is round((w − offset)/s) + zero point. Weights by other
 * quantizers are left alone; {@link weightsWithoutGrid} names them.
 */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { filled, type Tensor } from "../../ir/tensor.ts";
import type { Shape } from "../../ir/types.ts";
import { stepSlope } from "../../ops/build/masks.ts";
import { clip, hardSigmoid } from "../../ops/families/activations.ts";
import { absolute, add, divide, maximum, multiply, round, subtract } from "../../ops/families/elementwise.ts";
import type { GridValues, QuantizerSpec } from "../../quantizers/definition.ts";
import { quantizerNamed } from "../../quantizers/index.ts";
import type { QuantizerSite } from "../sites.ts";

/** Names of the scalar inputs that carry the schedules. */
export const dampeningInput = "oscillation.dampening";
/** The name of the input that carries the freezing threshold. */
export const thresholdInput = "oscillation.threshold";

/** The measures of a step against oscillating weights. */
export interface OscillationConfig {
  readonly dampen: boolean;
  readonly freeze: boolean;
  /** Share of the newest step in the moving averages; the paper uses 0.01. */
  readonly momentum: number;
}

/** A weight and the grid of its codes, as values of a step. */
export interface QuantizedWeight {
  readonly spec: QuantizerSpec;
  readonly weight: Value;
  readonly grid: GridValues;
}

/** Returns the sites of weights whose codes lie on no even grid: dampening and freezing do not act on them. */
export function weightsWithoutGrid(sites: readonly QuantizerSite[]): QuantizerSite[] {
  return sites.filter(({ kind, spec }) => kind === "weight" && quantizerNamed(spec.quantizer).grid === undefined);
}

function limited(builder: GraphBuilder, code: Value, { spec, grid }: QuantizedWeight): Value {
  return clip(builder, code, grid.lowest ?? spec.quantMin, spec.quantMax);
}

/** The place of each weight among the codes, before it is rounded; without the zero point. */
function quotient(builder: GraphBuilder, { weight, grid }: QuantizedWeight): Value {
  const moved = grid.offset === undefined ? weight : subtract(builder, weight, grid.offset);
  return divide(builder, moved, grid.scale);
}

function shifted(builder: GraphBuilder, value: Value, { zeroPoint }: GridValues): Value {
  return zeroPoint === undefined ? value : add(builder, value, zeroPoint);
}

function codes(builder: GraphBuilder, quantized: QuantizedWeight): Value {
  const rounded = round(builder, quotient(builder, quantized));
  return limited(builder, shifted(builder, rounded, quantized.grid), quantized);
}

/** The numbers that codes represent. */
function valuesOf(builder: GraphBuilder, code: Value, { scale, zeroPoint, offset }: GridValues): Value {
  const product = multiply(builder, zeroPoint === undefined ? code : subtract(builder, code, zeroPoint), scale);
  return offset === undefined ? product : add(builder, product, offset);
}

/** 1 where |x| > 0, else 0. */
function nonZero(builder: GraphBuilder, x: Value): Value {
  return hardSigmoid(builder, absolute(builder, x), stepSlope, 0);
}

/** Returns the term that dampening adds to the gradient of a weight: 2λ·(clip(w) − ŵ). */
export function dampeningGradient(builder: GraphBuilder, quantized: QuantizedWeight, strength: Value): Value {
  const { grid } = quantized;
  const position = shifted(builder, quotient(builder, quantized), grid);
  const distance = subtract(builder, limited(builder, position, quantized), codes(builder, quantized));
  return multiply(builder, multiply(builder, distance, grid.scale), multiply(builder, strength, 2));
}

/** State that freezing keeps for a weight of this shape. */
export function oscillationState(shape: Shape): Readonly<Record<string, Tensor>> {
  return {
    code: filled(shape, 0),
    direction: filled(shape, 0),
    frequency: filled(shape, 0),
    average: filled(shape, 0),
    frozen: filled(shape, 0),
    /** 0 before the first step, so that the first codes count as no change. */
    started: filled([], 0),
  };
}

/** A weight with its oscillating elements frozen, and the state of the freezing. */
export interface FreezeResult {
  /** The weight after the optimizer, with the frozen elements at their average code. */
  readonly weight: Value;
  readonly state: Readonly<Record<string, Value>>;
}

/** One step of algorithm 1. `quantized` holds the weight and grid after the optimizer's update. */
export function freezeOscillating(
  builder: GraphBuilder,
  quantized: QuantizedWeight,
  state: Readonly<Record<string, Value>>,
  threshold: Value,
  momentum: number,
): FreezeResult {
  const at = (name: string): Value => {
    const value = state[name];
    if (value === undefined) throw new Error(`the oscillation state "${name}" is missing`);
    return value;
  };
  const code = codes(builder, quantized);
  const first = subtract(builder, 1, at("started"));
  const change = multiply(builder, subtract(builder, code, at("code")), at("started"));
  const direction = clip(builder, change, -1, 1);
  // The product of two directions is −1 exactly where the code turned back.
  const turned = clip(builder, multiply(builder, multiply(builder, direction, at("direction")), -1), 0, 1);
  const moved = nonZero(builder, change);
  const blend = (old: Value, now: Value): Value =>
    add(builder, multiply(builder, old, 1 - momentum), multiply(builder, now, momentum));
  const frequency = blend(at("frequency"), turned);
  const average = add(
    builder,
    multiply(builder, blend(at("average"), code), at("started")),
    multiply(builder, code, first),
  );
  const over = hardSigmoid(builder, subtract(builder, frequency, threshold), stepSlope, 0);
  const frozen = maximum(builder, at("frozen"), over);
  // A frozen weight keeps the code that its average had when it froze.
  const keptAverage = add(
    builder,
    multiply(builder, average, subtract(builder, 1, at("frozen"))),
    multiply(builder, at("average"), at("frozen")),
  );
  const target = valuesOf(builder, round(builder, keptAverage), quantized.grid);
  const weight = add(
    builder,
    multiply(builder, quantized.weight, subtract(builder, 1, frozen)),
    multiply(builder, target, frozen),
  );
  return {
    weight,
    state: {
      code,
      direction: add(
        builder,
        multiply(builder, direction, moved),
        multiply(builder, at("direction"), subtract(builder, 1, moved)),
      ),
      frequency,
      average: keptAverage,
      frozen,
      started: maximum(builder, at("started"), 1),
    },
  };
}
