/** Pieces that the parts of a training configuration's schema share. */
import { z } from "zod";

/** The smallest and largest bit-width that a quantizer can have. */
export const bitRange = { minimum: 1, maximum: 16 } as const;

/** A whole number of at least 1. */
export const count = z.int().min(1);
/** A number from 0 up to, and without, 1. */
export const fraction = z.number().min(0).lt(1);
/** A bit-width. */
export const bits = z.int().min(bitRange.minimum).max(bitRange.maximum);
/** Bits of a layer that is treated apart: a width, as all other layers (`same`), or not quantized at all (`float`). */
export const layerBits = z.union([bits, z.enum(["same", "float"])], {
  error: `expected a bit-width from ${bitRange.minimum} to ${bitRange.maximum}, "same" or "float"`,
});

/** Epochs that an aid is at work: from `fromEpoch` (counted from 0) to before `untilEpoch`. */
export const epochRange = { fromEpoch: z.int().min(0).default(0), untilEpoch: z.int().min(1).exactOptional() };
