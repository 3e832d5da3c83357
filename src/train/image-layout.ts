/** How a model's file arranges images: with the channels first, as PyTorch has them, or last, as Keras does. */

import type { Shape } from "../ir/types.ts";
import type { FileInput } from "../onnx/read/file.ts";

type Dimension = number | string | undefined;

/** Channels that tell an axis from a height or a width: of grey, colour, and colour with transparency. */
function isChannelCount(size: Dimension): size is number {
  return size === 1 || size === 3 || size === 4;
}

/** The sizes of one sample of a model's only input; undefined where it has several, or no rank is stated. */
export function sampleSizes([input, ...others]: readonly FileInput[]): readonly Dimension[] | undefined {
  return others.length > 0 ? undefined : input?.dimensions?.slice(1);
}

/** Whether the only input can be nothing but height, width and channels. Where both readings fit, channels come first. */
export function statesChannelsLast(inputs: readonly FileInput[]): boolean {
  const sizes = sampleSizes(inputs);
  return sizes?.length === 3 && canOnlyBeLast(sizes);
}

/** As statesChannelsLast, of three sizes. */
export function canOnlyBeLast([first, , third]: readonly Dimension[]): boolean {
  return isChannelCount(third) && !isChannelCount(first);
}

/**
 * Whether the only input of a model's file is one of images with their channels last, which the samples have first.
 *
 * @param sampleShape Of the data: [C, H, W] for images.
 */
export function takesChannelsLast(inputs: readonly FileInput[], sampleShape: Shape): boolean {
  const sizes = sampleSizes(inputs);
  if (sizes?.length !== 3 || sampleShape.length !== 3) return false;
  const fits = (shape: Shape) => sizes.every((size, axis) => typeof size !== "number" || size === shape[axis]);
  return isChannelCount(sizes[2]) && !fits(sampleShape) && fits(channelsLast(sampleShape));
}

/** [H, W, C] of [C, H, W]. */
export function channelsLast([channels = 1, ...sides]: Shape): Shape {
  return [...sides, channels];
}
