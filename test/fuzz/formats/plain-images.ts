/** Bitmaps and netpbm's images: a valid file of each kind, and files whose headers state odd sizes, depths and places. */
import type { RandomStream } from "../../../src/base/random.ts";
import { bitmap, netpbm } from "../../data/plain-files.ts";
import { oddNumbers, oneOf } from "../format.ts";

type Files = Readonly<Record<string, Uint8Array>>;

/** Nine rows: a run, pixels without a run, a jump. */
const runs = Uint8Array.from(
  Array.from({ length: 9 }, () => [4, 0x12, 0, 3, 0x45, 0x60, 0, 2, 1, 0, 1, 7, 0, 0]).flat(),
);

const valid: Readonly<Record<"bmp" | "pnm", Files>> = {
  bmp: {
    "a/1.bmp": bitmap({ width: 20, height: 10, bits: 24 }),
    "a/2.bmp": bitmap({ width: 9, height: 9, bits: 4, body: runs, compression: 2 }),
    "b/1.bmp": bitmap({ width: 9, height: 9, bits: 8 }),
    "b/2.bmp": bitmap({ width: 9, height: 9, bits: 16 }),
  },
  pnm: {
    "a/1.ppm": netpbm("P6", [9, 7, 255], new Uint8Array(189).fill(9)),
    "a/2.pgm": netpbm("P5", [9, 7, 1000], new Uint8Array(126).fill(1)),
    "a/3.pbm": netpbm("P4", [9, 7], new Uint8Array(14).fill(170)),
    "b/1.ppm": netpbm("P3", [3, 2, 7], "0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1"),
    "b/2.pgm": netpbm("P2", [3, 2, 255], "0 99 # a\n 255 1 2 3"),
    "b/3.pbm": netpbm("P1", [3, 2], "0 1 1\n101"),
  },
};

/** The valid files of a format. */
export function plainFiles(format: "bmp" | "pnm"): () => Files {
  return () => valid[format];
}

/** A bitmap whose header has odd numbers, over a short body. */
export function oddBmp(stream: RandomStream): Files {
  const odd = () => (stream.integerBelow(9) === 0 ? oneOf(stream, oddNumbers) : 1 + stream.integerBelow(9));
  const body = Uint8Array.from({ length: oneOf(stream, [0, 40, 400, 4000, 4000]) }, () => stream.integerBelow(256));
  const file = bitmap({
    width: odd(),
    height: odd(),
    bits: oneOf(stream, [0, 1, 2, 4, 4, 8, 8, 8, 8, 16, 24, 32, 64]),
    compression: oneOf(stream, [0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 99]),
    colours: oneOf(stream, [0, 0, 2, 16, 255, 256, 257, 2 ** 32 - 1]),
    header: oneOf(stream, [0, 12, 16, 40, 40, 40, 40, 40, 52, 56, 64, 108, 124, 2 ** 31]),
    start: oneOf(stream, [0, 54, 54 + 1024, 2 ** 31, 2 ** 32 - 1, stream.integerBelow(2000)]),
    body,
  });
  return { "a/1.bmp": file };
}

/** A header with odd numbers and words, over a short body. */
export function oddPnm(stream: RandomStream): Files {
  const words = ["#", "# a\n", "", "x", "1e3", "-1", "0x10", "+5", "1_0", "\u0000", "#".repeat(5000), "9".repeat(400)];
  const odd = () => (stream.integerBelow(4) === 0 ? oneOf(stream, [...words, ...oddNumbers]) : stream.integerBelow(30));
  const kind = `P${oneOf(stream, [0, 1, 2, 3, 4, 5, 6, 7, "f", "y"])}`;
  const numbers = Array.from({ length: oneOf(stream, [0, 1, 2, 3, 3, 3, 4]) }, odd);
  const text = Array.from({ length: 200 }, () => odd()).join(oneOf(stream, [" ", "\n", "\r", "# ", ""]));
  const body = stream.integerBelow(2) === 0 ? text : new Uint8Array(oneOf(stream, [0, 1, 30, 900, 5000]));
  return { [`a/1.${oneOf(stream, ["ppm", "pgm", "pbm", "pnm", "png"])}`]: netpbm(kind, numbers, body) };
}
