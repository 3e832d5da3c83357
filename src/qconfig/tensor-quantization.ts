/**
 * How one kind of tensor (weights, or activations) is to be quantized, as a person writes it, and its resolution to a
 * {@link QuantizerSpec} for one tensor: which codes there really are.
 */
import { ConfigError } from "../errors.ts";
import type { TensorType } from "../ir/types.ts";
import { observerNamed } from "../observers/index.ts";
import type { ObserverSpec, QuantizerOptions, QuantizerSpec } from "../quantizers/definition.ts";
import { quantizerNamed } from "../quantizers/index.ts";
import { calibratedOptions } from "./initial-range.ts";
import { checkOptions } from "./option-check.ts";

/** The quantization of a kind of tensor, before it is resolved for one tensor. */
export interface TensorQuantization {
  readonly quantizer: string;
  /** 1 to 16. Gives the range where `quantMin` and `quantMax` do not. */
  readonly bits: number;
  /**
   * Whether codes are signed: "auto" takes unsigned codes for tensors known to hold no negative value (after ReLU) and
   * signed ones elsewhere.
   */
  readonly signed: boolean | "auto";
  readonly quantMin?: number;
  readonly quantMax?: number;
  /** Leaves out the lowest code of a signed range, so that it is symmetric around 0. */
  readonly narrowRange?: boolean;
  /** torch's option: halves both limits of the range (floor division), which costs one bit. */
  readonly reduceRange?: boolean;
  /** Parameters for each index of `channelAxis` (weights: 0, the output channels), for each group, or for the tensor. */
  readonly granularity: "tensor" | "channel" | "group";
  readonly channelAxis?: number;
  readonly groupSize?: number;
  readonly observer?: ObserverSpec;
  readonly options: QuantizerOptions;
}

/** Properties of the tensor that a quantizer is for. */
export interface TensorFacts {
  /** A name for errors: `layer1.0.conv1.weight`. */
  readonly name: string;
  readonly type: TensorType;
  readonly nonNegative: boolean;
  /** Weights unless it says otherwise; the first axis of an activation counts the samples of a batch. */
  readonly kind?: "weight" | "activation";
}

/**
 * The codes that a quantization asks for, before and after `reduceRange`.
 *
 * torch 1.13 halves given limits with floor division: 0..15 becomes 0..7, so "4 bits" are 8 levels (`calculate_qmin_qmax`).
 *
 * @example
 * const weight = presetNamed("lsq", { weightBits: 4, activationBits: 4 }).weight;
 * if (weight !== null) console.log(codeRange(weight, false)); // { min: -8, max: 7 }
 */
export function codeRange(quantization: TensorQuantization, nonNegative: boolean): { min: number; max: number } {
  const { bits, reduceRange, narrowRange } = quantization;
  const signed = quantization.signed === "auto" ? !nonNegative : quantization.signed;
  const min = quantization.quantMin ?? (signed ? -(2 ** (bits - 1)) + (narrowRange === true ? 1 : 0) : 0);
  const max = quantization.quantMax ?? (signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1);
  return reduceRange === true ? { min: Math.floor(min / 2), max: Math.floor(max / 2) } : { min, max };
}

/**
 * A quantization with its observer where it works: a calibrator as the option `initializer`. Under the convention
 * "pre-1.12" reduceRange halves the observer's eight-bit type and leaves the codes as they are.
 */
function normalized(asked: TensorQuantization): TensorQuantization {
  const { observer, ...withoutObserver } = asked;
  const options = calibratedOptions(observer, asked.options);
  const quantization: TensorQuantization = options === undefined ? asked : { ...withoutObserver, options };
  if (quantization.options.convention !== "pre-1.12" || quantization.reduceRange !== true) return quantization;
  return { ...quantization, reduceRange: false, options: { ...quantization.options, reducedObserver: true } };
}

/** Resolves a quantization for one tensor. @throws ConfigError naming the tensor when it contradicts itself. */
export function resolveQuantizer(asked: TensorQuantization, facts: TensorFacts): QuantizerSpec {
  const quantization = normalized(asked);
  const fail = (message: string, remedy: string): never => {
    throw new ConfigError(message, { where: `tensor "${facts.name}"`, remedy });
  };
  const { bits, granularity } = quantization;
  if (!Number.isInteger(bits) || bits < 1 || bits > 16) {
    fail(`${bits} bits were requested`, "Use a whole number of bits from 1 to 16.");
  }
  const definition = quantizerNamed(quantization.quantizer);
  if (quantization.observer !== undefined) {
    observerNamed(quantization.observer.observer);
    if (definition.fromRange === undefined) {
      fail(
        `the observer ${quantization.observer.observer} would move parameters that ${definition.name} trains`,
        "Leave the observer out, or take the quantizer uniform.",
      );
    }
    const share = quantization.observer.options.averagingConstant;
    if (typeof share === "number" && !(share > 0 && share <= 1)) {
      fail(`an averagingConstant of ${share} is no share`, "Give a number above 0 and at most 1; torch's is 0.01.");
    }
  }
  const misused = checkOptions(definition, quantization.options, quantization.observer);
  if (misused !== undefined) fail(misused.message, misused.remedy);
  for (const [name, limit] of Object.entries({ quantMin: quantization.quantMin, quantMax: quantization.quantMax })) {
    if (limit !== undefined && !Number.isInteger(limit)) {
      fail(`${name} is ${limit}, but a code is an integer`, "Give a whole number.");
    }
  }
  const range = codeRange(quantization, facts.nonNegative);
  if (range.min >= range.max) {
    fail(
      `the codes ${range.min}..${range.max} leave ${Math.max(0, range.max - range.min + 1)} level`,
      quantization.reduceRange === true
        ? "Turn reduceRange off: it halves the range, and nothing is left of it here."
        : "Give a quantMax above quantMin.",
    );
  }
  if (quantization.signed === false && range.min < 0) {
    fail(`an unsigned range cannot start at ${range.min}`, "Set signed to true, or quantMin to 0.");
  }
  const axis = quantization.channelAxis ?? 0;
  if (granularity === "channel" && (axis < 0 || axis >= facts.type.shape.length)) {
    fail(`it has no axis ${axis} (shape [${facts.type.shape}])`, "Give a channelAxis that the tensor has.");
  }
  if (granularity === "channel" && facts.kind === "activation" && axis === 0) {
    fail("axis 0 of an activation counts the samples of a batch", "Set channelAxis to 1, or granularity to tensor.");
  }
  const { groupSize } = quantization;
  if (granularity === "group") {
    const inner = facts.type.shape.slice(1).reduce((product, size) => product * size, 1);
    if (groupSize === undefined || inner % groupSize !== 0) {
      fail(
        `groups of ${groupSize} do not divide its ${inner} elements per channel`,
        "Give a groupSize that divides them.",
      );
    }
  }
  const spec: QuantizerSpec = {
    quantizer: quantization.quantizer,
    bits,
    quantMin: range.min,
    quantMax: range.max,
    ...(granularity === "channel" ? { channelAxis: axis } : {}),
    ...(granularity === "group" && groupSize !== undefined ? { groupSize } : {}),
    ...(facts.nonNegative ? { nonNegative: true } : {}),
    ...(quantization.observer === undefined ? {} : { observer: quantization.observer }),
    options: quantization.options,
  };
  if (granularity === "group" && facts.kind === "activation" && definition.parameters(spec, facts.type).length > 0) {
    fail(
      `groups of an activation would give ${definition.name} other parameters for every batch size`,
      'Set granularity to "tensor"; groups of activations are for minifloat with the scale "mx".',
    );
  }
  const contradiction = definition.check?.(spec, facts.type);
  if (contradiction !== undefined) fail(contradiction.message, contradiction.remedy);
  return spec;
}
