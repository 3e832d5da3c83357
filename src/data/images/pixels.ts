/**
 * Conversions of pixels as Pillow (`Image.convert`) computes them, to the last bit: most image models were trained with
 * them, directly or through torchvision.
 */

/** Interleaved pixels, row by row. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
}

/**
 * Meaning of grey values of 16 bits, 0 to 65,535: `clip` makes all above 255 white, as Pillow and so torchvision do;
 * `scale` keeps the high byte, as both do for colour.
 */
export type SixteenBit = "clip" | "scale";

/** How an image gets the size of a sample: it covers it and is cut, or it is stretched. */
export type ImageFit = "cover" | "fill";

/** Information from the header of an image file. */
export interface ImageHeader {
  readonly width: number;
  readonly height: number;
  readonly isGrey: boolean;
  /** Whether it is grey with 16 bits and without transparency: see {@link SixteenBit}. */
  readonly isDeepGrey: boolean;
}

/** Red, green and blue as grey: ITU-R BT.601 luma of the stored values in 16 bits of fraction. */
export function greyOf(rgb: Uint8Array): Uint8Array {
  const grey = new Uint8Array(rgb.length / 3);
  for (let i = 0, from = 0; i < grey.length; i++, from += 3) {
    const luma = (rgb[from] ?? 0) * 19_595 + (rgb[from + 1] ?? 0) * 38_470 + (rgb[from + 2] ?? 0) * 7471;
    grey[i] = (luma + 0x8000) >> 16;
  }
  return grey;
}

/** Interleaved pixels as one plane after another, in memory of its own. */
export function planesOf(pixels: Uint8Array, channels: number): Uint8Array {
  if (channels === 1) return pixels;
  const length = pixels.length / channels;
  const planes = new Uint8Array(pixels.length);
  for (let channel = 0; channel < channels; channel++) {
    const start = channel * length;
    for (let i = 0, from = channel; i < length; i++, from += channels) planes[start + i] = pixels[from] ?? 0;
  }
  return planes;
}

/** Cyan, magenta, yellow and black as red, green and blue, without a colour profile. */
export function rgbOfCmyk({ data, width, height }: Pixels): Pixels {
  const rgb = new Uint8Array(width * height * 3);
  for (let to = 0, from = 0; to < rgb.length; to += 3, from += 4) {
    const light = 255 - (data[from + 3] ?? 0);
    for (let channel = 0; channel < 3; channel++) {
      rgb[to + channel] = Math.max(0, light - dividedBy255((data[from + channel] ?? 0) * light));
    }
  }
  return { data: rgb, width, height, channels: 3 };
}

/** Values of 16 bits as bytes: those above 255 become 255. */
export function clippedBytes({ data, width, height }: Pixels): Pixels {
  const values = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const isLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  const bytes = Uint8Array.from({ length: width * height }, (_, i) => Math.min(255, values.getUint16(2 * i, isLittle)));
  return { data: bytes, width, height, channels: 1 };
}

/** Rounds value / 255 as Pillow's MULDIV255 does. */
function dividedBy255(value: number): number {
  const rounded = value + 128;
  return ((rounded >> 8) + rounded) >> 8;
}
