/**
 * Images (JPEG, PNG, WebP, and what else libvips reads; bitmaps and netpbm's formats by plain/) as bytes [C, H, W].
 *
 * `sharp` is an optional dependency that is loaded when the first image is read. It decodes on threads of its own, one
 * thread for each image. Values are those that Pillow and torchvision's loaders give, because models were trained with
 * them (see pixels.ts): transparency is dropped, colour profiles are ignored, the shorter side is resized with a triangle
 * filter. Unlike there, the rotation that a camera noted is applied.
 */
import type Sharp from "sharp";
import { UnsupportedError } from "../../errors.ts";
import type { Shape } from "../../ir/types.ts";
import { Limiter, type LoadedSample } from "../dataset/sample-store.ts";
import {
  clippedBytes,
  greyOf,
  type ImageFit,
  type ImageHeader,
  type Pixels,
  planesOf,
  rgbOfCmyk,
  type SixteenBit,
} from "./pixels.ts";
import { hasPlainName, openPlainImage, plainEndings } from "./plain/open.ts";
import { mostPixels, type PlainImage } from "./plain/source.ts";

type OpenImage = ReturnType<typeof Sharp>;
type Metadata = Awaited<ReturnType<OpenImage["metadata"]>>;

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
  ...plainEndings,
];

/** Pixels beyond which an image that is decoded as a whole waits for others. */
const largePixels = 2 ** 22;

/** Seconds after which decoding an image is aborted. */
const decodeTimeout = 60;

/** Reads images with sharp. */
export class ImageDecoder {
  readonly #sharp: typeof Sharp;
  /** Bitmaps and netpbm's formats are decoded as a whole, so large ones one at a time. */
  readonly #largeLimiter = new Limiter(1);

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
    return this.#read(
      path,
      async (plain): Promise<ImageHeader> => plain,
      async () => {
        const metadata = await this.#sharp(path, { limitInputPixels: mostPixels }).metadata();
        const { width, height, space, autoOrient } = metadata;
        const isDeepGrey = hasDeepGrey(metadata);
        const isGrey = space === "b-w" || space === "grey16";
        return { width: autoOrient.width ?? width, height: autoOrient.height ?? height, isGrey, isDeepGrey };
      },
    );
  }

  /**
   * Decodes an image, resized so that it covers `shape`, and cut to it around its middle; or stretched to it.
   *
   * @param shape [1, H, W] for grey or [3, H, W] for red, green and blue.
   * @param sixteenBit Meaning of grey values of 16 bits.
   */
  async decode(
    path: string,
    shape: Shape,
    sixteenBit: SixteenBit = "clip",
    fit: ImageFit = "cover",
  ): Promise<LoadedSample> {
    return this.#read(
      path,
      (plain) => {
        const decode = async () => this.#resized(this.#reopen(await plain.pixels(sixteenBit)), shape, fit);
        return plain.width * plain.height > largePixels ? this.#largeLimiter.run(decode) : decode();
      },
      async () => this.#resized(await this.#open(path, sixteenBit), shape, fit),
    );
  }

  /** Reads a file as its name says; where libvips cannot, as its first bytes say. */
  async #read<T>(
    path: string,
    plainly: (image: PlainImage) => Promise<T>,
    bySharp: () => Promise<T>,
  ): Promise<T | { readonly reason: string }> {
    const isPlain = hasPlainName(path);
    try {
      const plain = isPlain ? await openPlainImage(path) : undefined;
      return plain === undefined ? await bySharp() : await plainly(plain);
    } catch (error) {
      const plain = isPlain ? undefined : await openPlainImage(path).catch(() => undefined);
      if (plain === undefined) return { reason: reasonOf(error) };
      return plainly(plain).catch((cause: unknown) => ({ reason: reasonOf(cause) }));
    }
  }

  async #resized(image: OpenImage, shape: Shape, fit: ImageFit): Promise<LoadedSample> {
    const [channels = 3, height = 1, width = 1] = shape;
    const { data, info } = await image
      .resize({ width, height, fit, position: "centre", kernel: "linear" })
      .removeAlpha()
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3 || info.width !== width || info.height !== height) {
      return { reason: `it decodes to ${info.channels} channels of ${info.height}x${info.width}` };
    }
    return { samples: channels === 1 ? greyOf(data) : planesOf(data, channels) };
  }

  /** Opens an image as it is seen; what libvips converts in another way than Pillow is converted here. */
  async #open(path: string, sixteenBit: SixteenBit): Promise<OpenImage> {
    const options = { failOn: "error", sequentialRead: true, ignoreIcc: true, limitInputPixels: mostPixels } as const;
    const image = this.#sharp(path, options).timeout({ seconds: decodeTimeout });
    const metadata = await image.metadata();
    const oriented = image.autoOrient();
    if (metadata.space === "cmyk") return this.#reopen(rgbOfCmyk(await pixelsOf(oriented, "cmyk", "uchar")));
    if (sixteenBit === "scale" || !hasDeepGrey(metadata)) return oriented;
    return this.#reopen(clippedBytes(await pixelsOf(oriented, "grey16", "ushort")));
  }

  #reopen({ data, width, height, channels }: Pixels): OpenImage {
    return this.#sharp(data, { raw: { width, height, channels } }).timeout({ seconds: decodeTimeout });
  }
}

function hasDeepGrey({ space, depth, hasAlpha }: Metadata): boolean {
  return space === "grey16" && depth === "ushort" && !hasAlpha;
}

/** Decodes the whole image in its own colours. */
async function pixelsOf(image: OpenImage, space: string, depth: "uchar" | "ushort"): Promise<Pixels> {
  const own = image.pipelineColourspace(space).toColourspace(space);
  const { data, info } = await own.raw({ depth }).toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels };
}

function reasonOf(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).split("\n")[0]?.trim() ?? "";
  // libvips keeps one text for all threads, so what it says of an error may be gone before it is asked.
  return message === "" || message === "Unknown error" ? "it cannot be decoded: damaged or truncated" : message;
}
