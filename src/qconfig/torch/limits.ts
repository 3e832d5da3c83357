/**
 * The codes that a torch observer really uses: `calculate_qmin_qmax` and `validate_qmin_qmax` of
 * torch.ao.quantization 1.13, and the contradictions that torch lets pass and subbyte refuses.
 *
 * torch 1.13 halves limits that were given just as it halves its own: with `reduce_range`, 0..15 becomes 0..7.
 */
import { ConfigError } from "../../errors.ts";

/** The element types that torch's observers take. */
export type TorchDtype = "quint8" | "qint8" | "qint32" | "quint4x2";

/** torch's quantization schemes. */
export type TorchQscheme =
  | "per_tensor_affine"
  | "per_tensor_symmetric"
  | "per_channel_affine"
  | "per_channel_symmetric"
  | "per_channel_affine_float_qparams";

/** Lowest and highest code. */
export interface CodeLimits {
  readonly min: number;
  readonly max: number;
}

/** The codes of each element type, which an observer uses when it is given no limits. */
export const dtypeLimits: Readonly<Record<TorchDtype, CodeLimits>> = {
  quint8: { min: 0, max: 255 },
  qint8: { min: -128, max: 127 },
  qint32: { min: -(2 ** 31), max: 2 ** 31 - 1 },
  quint4x2: { min: 0, max: 15 },
};

/** The arguments from which torch's observers derive their limits. */
export interface LimitArguments {
  readonly dtype: TorchDtype;
  readonly quantMin?: number;
  readonly quantMax?: number;
  readonly reduceRange?: boolean;
}

/** Returns the requested limits: those given, or the element type's own. @throws ConfigError when they contradict it. */
export function askedLimits({ dtype, quantMin, quantMax }: LimitArguments, where: string): CodeLimits {
  const fail = (message: string, remedy: string): never => {
    throw new ConfigError(message, { where, remedy });
  };
  const own = dtypeLimits[dtype];
  if (quantMin === undefined && quantMax === undefined) return own;
  if (quantMin === undefined || quantMax === undefined) {
    const [given, missing] = quantMin === undefined ? ["quant_max", "quant_min"] : ["quant_min", "quant_max"];
    return fail(
      `${given} is given without ${missing}, and torch ignores one without the other: it would use ${own.min}..${own.max}`,
      `Give ${missing} too.`,
    );
  }
  for (const [name, value] of [
    ["quant_min", quantMin],
    ["quant_max", quantMax],
  ] as const) {
    if (!Number.isInteger(value)) fail(`${name} is ${value}, but a code is an integer`, "Give a whole number.");
  }
  if (quantMin >= quantMax) {
    fail(`quant_min ${quantMin} is not below quant_max ${quantMax}`, "Give a quant_max above quant_min.");
  }
  if (quantMin > 0 || quantMax < 0) {
    fail(`the codes ${quantMin}..${quantMax} do not include 0, as torch demands`, "Move the range so that it holds 0.");
  }
  if (quantMin < own.min || quantMax > own.max) {
    const other = quantMin < 0 && dtype === "quint8" ? "Set dtype to torch.qint8, or quant_min to 0." : undefined;
    fail(
      `the codes ${quantMin}..${quantMax} do not fit into ${dtype}, which holds ${own.min}..${own.max}`,
      other ?? `Keep quant_min and quant_max inside ${own.min}..${own.max}.`,
    );
  }
  return { min: quantMin, max: quantMax };
}

/**
 * The limits that there are, after `reduceRange`.
 *
 * @throws ConfigError when the arguments contradict themselves, or `reduceRange` leaves a single code.
 * @example
 * console.log(calculateQuantLimits({ dtype: "quint8", quantMin: 0, quantMax: 15, reduceRange: true })); // { min: 0, max: 7 }
 */
export function calculateQuantLimits(given: LimitArguments, where = "observer"): CodeLimits {
  const asked = askedLimits(given, where);
  if (given.reduceRange !== true) return asked;
  const halved = { min: Math.floor(asked.min / 2), max: Math.floor(asked.max / 2) };
  if (halved.min < halved.max) return halved;
  throw new ConfigError(
    `reduce_range halves the codes ${asked.min}..${asked.max} to ${halved.min}..${halved.max}, a single level`,
    { where, remedy: "Set reduce_range to False." },
  );
}
