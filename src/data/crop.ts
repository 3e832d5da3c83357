/** Rectangles cut out of images [C, H, W]. */

import type { RandomStream } from "../base/random.ts";
import type { Shape } from "../ir/types.ts";
import type { SampleArray } from "./dataset/dataset.ts";

/** Where a rectangle of rows and columns lies in an image. */
export interface CropPlace {
  readonly top: number;
  readonly left: number;
}

/** The place of a crop in the middle, as torchvision's `CenterCrop` rounds it for even margins. */
export function centerCrop(from: Shape, to: Shape): CropPlace {
  const [, height = 0, width = 0] = from;
  const [, rows = 0, columns = 0] = to;
  return { top: Math.floor((height - rows) / 2), left: Math.floor((width - columns) / 2) };
}

/** A place that is equally likely to be any where the crop fits. */
export function randomCrop(from: Shape, to: Shape, stream: RandomStream): CropPlace {
  const [, height = 0, width = 0] = from;
  const [, rows = 0, columns = 0] = to;
  return { top: stream.integerBelow(height - rows + 1), left: stream.integerBelow(width - columns + 1) };
}

/** An image in an array: its shape [C, H, W] and where it begins. */
export interface PlacedImage {
  readonly samples: SampleArray;
  readonly shape: Shape;
  readonly start: number;
}

/** Copies the part of `source` at this place to `target`, whose shape says how much. */
export function copyCrop(source: PlacedImage, target: PlacedImage, place: CropPlace): void {
  const [, height = 0, width = 0] = source.shape;
  const [channels = 0, rows = 0, columns = 0] = target.shape;
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < rows; row++) {
      const from = source.start + (channel * height + row + place.top) * width + place.left;
      const to = target.start + (channel * rows + row) * columns;
      target.samples.set(source.samples.subarray(from, from + columns), to);
    }
  }
}
