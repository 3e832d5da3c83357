/** Folders of recordings: formats of WAV, lengths, parts, and what is refused with which file. */
import { describe, expect, test } from "vitest";
import { allocateBatch } from "../../../../src/data/dataset/dataset.ts";
import { type OpenOptions, openDataset } from "../../../../src/data/dataset/open-dataset.ts";
import { decodeWav } from "../../../../src/data/formats/audio/wav.ts";
import { put } from "../../files.ts";
import { errorOf, temporaryFolder } from "../../support.ts";

interface Wave {
  readonly rate?: number;
  readonly channels?: number;
  readonly bits?: number;
  readonly code?: number;
}

/** A WAV file of numbers from -1 to 1. */
function wav(values: readonly number[], { rate = 800, channels = 1, bits = 16, code = 1 }: Wave = {}): Buffer {
  const bytes = bits / 8;
  const data = Buffer.alloc(values.length * bytes);
  values.forEach((value, i) => {
    if (code === 3) bits === 32 ? data.writeFloatLE(value, i * 4) : data.writeDoubleLE(value, i * 8);
    else if (bits === 8) data.writeUInt8(Math.round(value * 128) + 128, i);
    else data.writeIntLE(Math.round(value * 2 ** (bits - 1)), i * bytes, bytes);
  });
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(code, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * channels * bytes, 28);
  head.writeUInt16LE(channels * bytes, 32);
  head.writeUInt16LE(bits, 34);
  head.write("data", 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

const tone = (length: number, frequency: number) => Array.from({ length }, (_, t) => 0.5 * Math.sin(t * frequency));
const audio = { sampleRate: 800, seconds: 1, window: 80, hop: 40, mels: 5, lowest: 0, highest: 400 };
type Files = Readonly<Record<string, Uint8Array | string>>;

async function open(files: Files, options: OpenOptions = {}) {
  return openDataset(await put(await temporaryFolder(), files), { validationSplit: 0, audio, ...options });
}

async function refused(files: Files, options: OpenOptions = {}) {
  const error = await errorOf(() => open(files, options));
  return `${error.message}\n${error.where ?? ""}`;
}

describe("WAV files", () => {
  const values = [0, 0.5, -0.25, -1, 0.75];
  test.each([
    [8, 1],
    [16, 1],
    [24, 1],
    [32, 1],
    [32, 3],
    [64, 3],
  ])("of %i bits, format %i", (bits, code) => {
    const read = decodeWav(wav(values, { bits, code, rate: 8000 }), "x.wav");
    expect([read.rate, Array.from(read.samples)]).toEqual([8000, values]);
  });

  test("cut anywhere are refused with their name", () => {
    const file = wav(values);
    for (let length = 0; length < file.length; length++) {
      expect(() => decodeWav(file.subarray(0, length), "x.wav")).toThrow(expect.objectContaining({ where: "x.wav" }));
    }
  });
});

describe("folders of recordings", () => {
  const files = { "no/a.wav": wav(tone(800, 0.3)), "yes/b.wav": wav(tone(500, 0.9)), "yes/c.wav": wav(tone(900, 0.9)) };

  test("have a class for each folder; short ones get zeros, long ones are cut, with a note", async () => {
    const { train, kind, notes } = await open(files);
    expect(kind).toBe("audio");
    expect(train.sampleShape).toEqual([5, 19]);
    expect(train.target).toEqual({ kind: "classes", classes: ["no", "yes"] });
    const batch = allocateBatch(train, 3);
    train.readBatch(Int32Array.of(0, 1, 2), batch);
    expect([...batch.targets]).toEqual([0, 1, 1]);
    expect(notes.join("\n")).toMatch(/1 recordings are shorter.*1 recordings are longer/s);
    const [first, second] = [batch.samples.subarray(95, 190), batch.samples.subarray(190, 285)];
    // Up to sample 500 both are the same tone.
    for (let band = 0; band < 5; band++) expect(first[band * 19]).toBe(second[band * 19]);
    expect(first[18]).toBeCloseTo(Math.log(1e-6), 5);
  });

  test("are [1, mels, frames] for a model with four axes, and come in parts", async () => {
    const input = { name: "x", dtype: "float32", dimensions: ["N", 1, 5, 19] } as const;
    const { train, test: held } = await open(
      {
        "train/no/a.wav": wav(tone(800, 0.3)),
        "train/yes/a.wav": wav(tone(800, 0.9)),
        "val/yes/a.wav": wav(tone(800, 0.9)),
      },
      { inputs: [input] },
    );
    expect(train.sampleShape).toEqual([1, 5, 19]);
    expect([train.count, held.count]).toEqual([2, 1]);
  });

  test.each([
    [
      "another rate",
      { ...files, "yes/d.wav": wav(tone(800, 1), { rate: 1000 }) },
      /1000 samples per second, the features need 800.*yes\/d\.wav/s,
    ],
    ["two channels", { ...files, "yes/d.wav": wav(tone(800, 1), { channels: 2 }) }, /2 channels.*yes\/d\.wav/s],
    [
      "a compressed format",
      { ...files, "yes/d.wav": wav(tone(800, 1), { code: 2 }) },
      /format 2 with 16 bits.*yes\/d\.wav/s,
    ],
    ["no WAV", { ...files, "yes/d.wav": "text" }, /no WAV file.*yes\/d\.wav/s],
    ["a class without recordings", { ...files, "maybe/x.txt": "" }, /no recordings.*maybe/s],
    [
      "a class of the held-out part alone",
      { "train/no/a.wav": wav([0]), "val/yes/a.wav": wav([0]) },
      /class folder yes is not one of.*yes/s,
    ],
    ["not a number", { "no/a.wav": wav([0, Number.NaN], { code: 3, bits: 32 }) }, /sample 1 is NaN.*no\/a\.wav/s],
  ])("are refused: %s", async (_, all, message) => {
    expect(await refused(all)).toMatch(message);
  });

  test("are refused with settings that are not possible", async () => {
    expect(await refused(files, { audio: { ...audio, highest: 500 } })).toMatch(/not possible\ndata\.audio/);
  });
});
