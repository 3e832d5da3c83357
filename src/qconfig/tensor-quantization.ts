/**
 * How one kind of tensor (weights, or activations) is to be quantized, as a person writes it, and its resolution to a
 * {@link QuantizerSpec} for one tensor: which codes there really are.
 */
import { ConfigError } from "../errors.ts";
import type { TensorType } from "../graph/types.ts";
import { quantizerNamed } from "../quantizers/index.ts";
import type { ObserverSpec, QuantizerOptions, QuantizerSpec } from "../quantizers/quantizer.ts";

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

/** What is known about the tensor that a quantizer is for. */
export interface TensorFacts {
  /** A name for errors: `layer1.0.conv1.weight`. */
  readonly name: string;
  readonly type: TensorType;
  readonly nonNegative: boolean;
}

/**
 * The codes that a quantization asks for, before and after `reduceRange`.
 *
 * torch 1.13 halves given limits with floor division: 0..15 becomes 0..7, so "4 bits" are 8 levels (`calculate_qmin_qmax`).
 */
export function codeRange(quantization: TensorQuantization, nonNegative: boolean): { min: number; max: number } {
  const { bits, reduceRange, narrowRange } = quantization;
  const signed = quantization.signed === "auto" ? !nonNegative : quantization.signed;
  const min = quantization.quantMin ?? (signed ? -(2 ** (bits - 1)) + (narrowRange === true ? 1 : 0) : 0);
  const max = quantization.quantMax ?? (signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1);
  return reduceRange === true ? { min: Math.floor(min / 2), max: Math.floor(max / 2) } : { min, max };
}

/** Resolves a quantization for one tensor. @throws ConfigError naming the tensor when it contradicts itself. */
export function resolveQuantizer(quantization: TensorQuantization, facts: TensorFacts): QuantizerSpec {
  const fail = (message: string, remedy: string): never => {
    throw new ConfigError(message, { where: `tensor "${facts.name}"`, remedy });
  };
  const { bits, granularity } = quantization;
  if (!Number.isInteger(bits) || bits < 1 || bits > 16) {
    fail(`${bits} bits were asked for`, "Use a whole number of bits from 1 to 16.");
  }
  quantizerNamed(quantization.quantizer);
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
  return {
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
}
