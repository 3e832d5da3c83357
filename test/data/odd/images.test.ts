/** Unusual images: the values that Pillow gives, or a difference with its reason (docs/data.md). */
import { join } from "node:path";
import { expect, test } from "vitest";
import { ImageDecoder } from "../../../src/data/images/decoder.ts";
import { put } from "../files.ts";
import { temporaryFolder } from "../support.ts";
import { type Answer, answer, filesOf, oddCases } from "./cases.ts";

const cases = ["images", "plain-images"].flatMap((list) => oddCases(list, { rgb: answer, grey: answer }));

/** The cases whose values differ from Pillow's, and why. */
const differences: Readonly<Record<string, string>> = {
  "png rotated by Exif": "the rotation that a camera noted is applied",
  "jpeg rotated by Exif": "the rotation that a camera noted is applied",
  "gif with transparency": "libvips does not keep the colour under transparent pixels",
  "bmp 4 bits of the darkest greys": "Pillow refuses or misreads 4 bits where each number is its own grey",
  "bmp 4 bits of black and white": "Pillow reads one bit for each pixel of 4 bits",
  "bmp 8 bits of black and white": "Pillow reads one bit for each pixel of 8 bits",
  "bmp 16 bits as 444": "all masks without gaps are read, Pillow refuses those that it does not know",
  "bmp 32 bits, blue highest": "all masks without gaps are read, Pillow refuses those that it does not know",
  "bmp 32 bits as 10-10-10": "all masks without gaps are read, Pillow refuses those that it does not know",
  "png with a wrong checksum": "damaged files are skipped with a note",
};

function outcome(found: { readonly samples: ArrayLike<number> } | { readonly reason: string }, expected: Answer) {
  if ("reason" in found) return "error" in expected ? "agrees" : `refused: ${found.reason}`;
  if ("error" in expected) return "read, though Pillow refuses it";
  const [height = 0, width = 0, channels = 1] = expected.shape;
  const worst = Array.from(expected.data.keys()).reduce((most, i) => {
    const [pixel, channel] = [Math.floor(i / channels), i % channels];
    return Math.max(most, Math.abs((expected.data[i] ?? 0) - (found.samples[channel * height * width + pixel] ?? 0)));
  }, 0);
  return worst === 0 ? "agrees" : `differs by up to ${worst}`;
}

test.each(cases)("$name", async ({ name, files, rgb, grey }) => {
  const folder = await put(await temporaryFolder(), filesOf(files));
  const [file = ""] = Object.keys(files);
  const decoder = await ImageDecoder.create();
  const size = "error" in rgb ? [8, 8] : rgb.shape.slice(0, 2);
  const read = (channels: number) => decoder.decode(join(folder, file), [channels, ...size]);
  const outcomes = [outcome(await read(3), rgb), outcome(await read(1), grey)];
  if (name in differences) expect(outcomes).not.toEqual(["agrees", "agrees"]);
  else expect(outcomes).toEqual(["agrees", "agrees"]);
});
