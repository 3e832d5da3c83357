/**
 * Decoded images in one file, so that later epochs and later runs read instead of decode.
 *
 * Layout: the samples one after another, each of the same length; a JSON text; its length as a little-endian uint64; eight
 * bytes of magic. The text holds the shape, the number of samples, which files were skipped and why, and the fingerprint
 * of what was decoded: a cache of other files, or of another size, is made again.
 */
import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { FileFormatError, InterruptedError } from "../../errors.ts";
import { writeFileWithFolder } from "../../io/atomic-file.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { Limiter, type LoadedSample } from "../dataset/sample-store.ts";
import type { ImageDecoder } from "./decoder.ts";
import type { ImageList } from "./files.ts";
import type { SixteenBit } from "./pixels.ts";

const magic = "SUBBYTE1";
const trailerLength = 16;
const longestText = 2 ** 28;
/** Counts the changes of what a file decodes to, so that older caches are made again. */
const decoderVersion = 3;

const index = z.strictObject({
  fingerprint: z.string(),
  shape: z.array(z.int().min(1)),
  count: z.int().min(0),
  /** Numbers of the files in the list that did not decode, and why. */
  skipped: z.array(z.tuple([z.int().min(0), z.string()])),
});

/** A cache that is there and right. */
export interface DecodedCache {
  readonly path: string;
  /** Samples in the file: all that decoded, in the order of the list. */
  readonly count: number;
  readonly skipped: ReadonlyMap<number, string>;
  read(position: number): Promise<LoadedSample>;
}

/** How a cache is made. */
export interface CacheOptions {
  readonly concurrency: number;
  readonly sixteenBit: SixteenBit;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Opens the cache of these images in a folder, and makes it first where it is missing, damaged or of something else. */
export async function decodedCache(
  folder: string,
  images: ImageList,
  shape: Shape,
  decoder: ImageDecoder,
  options: CacheOptions,
): Promise<DecodedCache> {
  const fingerprint = await fingerprintOf(images, shape, options.sixteenBit);
  const path = join(folder, `images-${fingerprint.slice(0, 16)}.samples`);
  const known = await openCache(path, fingerprint, shape);
  if (known !== undefined) return known;
  await writeFileWithFolder(path, () => decodeAll(images, shape, fingerprint, decoder, options));
  const made = await openCache(path, fingerprint, shape);
  if (made === undefined) throw new FileFormatError("the cache that was just written cannot be read", { where: path });
  return made;
}

/** Names, sizes and times of the files, and what they are decoded to. */
async function fingerprintOf(images: ImageList, shape: Shape, sixteenBit: SixteenBit): Promise<string> {
  const limiter = new Limiter(64);
  const entries = await Promise.all(
    images.files.map((file) =>
      limiter.run(async () => {
        const entry = await stat(join(images.folder, file)).catch(() => undefined);
        return `${file}\0${entry?.size}\0${entry?.mtimeMs}`;
      }),
    ),
  );
  const hash = createHash("sha256").update(JSON.stringify([magic, decoderVersion, shape, sixteenBit]));
  for (const entry of entries) hash.update(`\n${entry}`);
  return hash.digest("hex");
}

/** The bytes of the file. A few images more than are decoded at once wait to be written. */
async function* decodeAll(
  images: ImageList,
  shape: Shape,
  fingerprint: string,
  decoder: ImageDecoder,
  options: CacheOptions,
): AsyncGenerator<Uint8Array> {
  const { files, folder } = images;
  const waiting: Promise<LoadedSample>[] = [];
  const skipped: [number, string][] = [];
  let next = 0;
  for (let done = 0; done < files.length; done++) {
    if (options.signal?.aborted) throw new InterruptedError("decoding the images was stopped");
    while (next < files.length && waiting.length < 2 * options.concurrency) {
      waiting.push(decoder.decode(join(folder, files[next] ?? ""), shape, options.sixteenBit));
      next++;
    }
    const loaded = await waiting.shift();
    if (loaded === undefined) break;
    if ("samples" in loaded) yield Uint8Array.from(loaded.samples);
    else skipped.push([done, loaded.reason]);
    options.onProgress?.(done + 1, files.length);
  }
  const count = files.length - skipped.length;
  const about: z.input<typeof index> = { fingerprint, shape: [...shape], count, skipped };
  const text = Buffer.from(JSON.stringify(about));
  const trailer = Buffer.alloc(trailerLength);
  trailer.writeBigUInt64LE(BigInt(text.length));
  trailer.write(magic, 8, "latin1");
  yield text;
  yield trailer;
}

/** Opens a cache; undefined when there is no such file or it does not match the request. */
async function openCache(path: string, fingerprint: string, shape: Shape): Promise<DecodedCache | undefined> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  const parsed = index.safeParse(parseJson(text.text));
  if (!parsed.success) return undefined;
  const { count, skipped } = parsed.data;
  const length = elementCount(shape);
  if (parsed.data.fingerprint !== fingerprint || text.start !== count * length) return undefined;
  return {
    path,
    count,
    skipped: new Map(skipped),
    async read(position) {
      const bytes = new Uint8Array(length);
      const handle = await open(path, "r");
      try {
        const { bytesRead } = await handle.read(bytes, 0, length, position * length);
        if (bytesRead === length) return { samples: bytes };
      } finally {
        await handle.close();
      }
      throw new FileFormatError("the cache of decoded images became shorter while it was read", { where: path });
    },
  };
}

async function readText(path: string): Promise<{ readonly text: string; readonly start: number } | undefined> {
  const handle = await open(path, "r").catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    const trailer = Buffer.alloc(trailerLength);
    await handle.read(trailer, 0, trailerLength, Math.max(0, size - trailerLength));
    const textLength = Number(trailer.readBigUInt64LE());
    const start = size - trailerLength - textLength;
    if (trailer.toString("latin1", 8) !== magic || start < 0 || textLength > longestText) return undefined;
    const text = Buffer.alloc(textLength);
    await handle.read(text, 0, textLength, start);
    return { text: text.toString("utf8"), start };
  } finally {
    await handle.close();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
