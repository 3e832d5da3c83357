/**
 * Images (JPEG, PNG, WebP, and what else libvips reads) as bytes [C, H, W].
 *
 * `sharp` is an optional dependency that is loaded when the first image is read. It decodes on threads of its own, one
 * thread for each image. As torchvision's loaders do, transparency is dropped and the shorter side is resized with a
 * triangle filter; unlike them, the rotation that a camera noted is applied.
 */
import type Sharp from "sharp";
import { UnsupportedError } from "../../errors.ts";
import type { Shape } from "../../ir/types.ts";
import type { LoadedSample } from "../dataset/sample-store.ts";

/** The endings of file names that are taken for images. */
export const imageEndings: readonly string[] = [
  ".jpg",
  ".jpeg",
  ".jpe",
  ".png",
  ".webp",
  ".gif",
  ".tif",
  ".tiff",
  ".avif",
];

/** Seconds after which decoding an image is aborted. */
const decodeTimeout = 60;

/** Information from the header of an image file. */
export interface ImageHeader {
  readonly width: number;
  readonly height: number;
  readonly isGrey: boolean;
}

/** Reads images with sharp. */
export class ImageDecoder {
  readonly #sharp: typeof Sharp;

  private constructor(sharp: typeof Sharp) {
    this.#sharp = sharp;
  }

  /** @throws UnsupportedError when sharp is not installed. */
  static async create(): Promise<ImageDecoder> {
    const { default: sharp } = await import("sharp").catch((cause: unknown) => {
      throw new UnsupportedError("images are decoded by the package sharp, which is not installed", {
        remedy: "Install it: npm install sharp. Or give the data as .npy arrays.",
        cause,
      });
    });
    // Many images at once, one thread each; and nothing is seen twice, so nothing need be remembered.
    sharp.concurrency(1);
    sharp.cache(false);
    return new ImageDecoder(sharp);
  }

  /** The size of an image as it is seen, or why it cannot be read. */
  async header(path: string): Promise<ImageHeader | { readonly reason: string }> {
    try {
      const { width, height, space, autoOrient } = await this.#sharp(path).metadata();
      return { width: autoOrient.width ?? width, height: autoOrient.height ?? height, isGrey: space === "b-w" };
    } catch (error) {
      return { reason: reasonOf(error) };
    }
  }

  /**
   * Decodes an image, resized so that it covers `shape`, and cut to it around its middle.
   *
   * @param shape [1, H, W] for grey or [3, H, W] for red, green and blue.
   */
  async decode(path: string, shape: Shape): Promise<LoadedSample> {
    const [channels = 3, height = 1, width = 1] = shape;
    try {
      const { data, info } = await this.#sharp(path, { failOn: "error", sequentialRead: true })
        .timeout({ seconds: decodeTimeout })
        .autoOrient()
        .resize({ width, height, fit: "cover", position: "centre", kernel: "linear" })
        .removeAlpha()
        .toColourspace(channels === 1 ? "b-w" : "srgb")
        .raw({ depth: "uchar" })
        .toBuffer({ resolveWithObject: true });
      if (info.channels !== channels || info.width !== width || info.height !== height) {
        return { reason: `it decodes to ${info.channels} channels of ${info.height}x${info.width}` };
      }
      return { samples: planesOf(data, channels) };
    } catch (error) {
      return { reason: reasonOf(error) };
    }
  }
}

/** Interleaved pixels as one plane after another, in memory of its own. */
function planesOf(pixels: Uint8Array, channels: number): Uint8Array {
  if (channels === 1) return pixels;
  const length = pixels.length / channels;
  const planes = new Uint8Array(pixels.length);
  for (let channel = 0; channel < channels; channel++) {
    const start = channel * length;
    for (let i = 0, from = channel; i < length; i++, from += channels) planes[start + i] = pixels[from] ?? 0;
  }
  return planes;
}

function reasonOf(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).split("\n")[0]?.trim() ?? "";
  // libvips keeps one text for all threads, so what it says of an error may be gone before it is asked.
  return message === "" || message === "Unknown error" ? "it cannot be decoded: damaged or truncated" : message;
}
