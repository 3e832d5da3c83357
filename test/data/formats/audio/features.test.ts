/** Log-mel features against torchaudio 2.11 in float64 (scripts/log-mel.py), and the Fourier transform against its definition. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { frameCount, logMel, melBands } from "../../../../src/data/formats/audio/features.ts";
import { powerSpectrumOf } from "../../../../src/data/formats/audio/fourier.ts";
import { ConfigError } from "../../../../src/errors.ts";

const schema = z.array(
  z.object({
    sampleRate: z.int(),
    window: z.int(),
    hop: z.int(),
    mels: z.int(),
    lowest: z.number(),
    highest: z.number(),
    samples: z.int(),
    frames: z.int(),
    chosen: z.array(z.int()),
    values: z.array(z.array(z.number())),
  }),
);
const cases = schema.parse(JSON.parse(readFileSync(new URL("features.json", import.meta.url), "utf8")));

describe("log-mel features", () => {
  test.each(cases)("are torchaudio's: $sampleRate Hz, window $window, $mels mels", (one) => {
    const { samples, frames, chosen, values } = one;
    const settings = { ...one, seconds: samples / one.sampleRate, floor: 1e-6 };
    expect(frameCount(settings)).toEqual({ samples, frames });
    const recording = Float64Array.from(
      { length: samples },
      (_, t) => 0.5 * Math.sin(t * t * 1e-4) + 0.1 * Math.cos(t * 0.37),
    );
    const features = logMel(recording, settings, melBands(settings));
    chosen.forEach((frame, place) => {
      values[place]?.forEach((value, band) => {
        expect(features[band * frames + frame]).toBeCloseTo(value, 5);
      });
    });
  });

  test("of silence are the logarithm of the floor", () => {
    const settings = {
      sampleRate: 800,
      seconds: 1,
      window: 80,
      hop: 40,
      mels: 5,
      lowest: 0,
      highest: 400,
      floor: 0.25,
    };
    const features = logMel(new Float64Array(0), settings, melBands(settings));
    expect(new Set(features)).toEqual(new Set([Math.fround(Math.log(0.25))]));
  });

  test("are refused where they are not possible", () => {
    const settings = { sampleRate: 800, seconds: 1, window: 80, hop: 40, mels: 5, lowest: 0, highest: 400, floor: 1 };
    for (const change of [{ window: 900 }, { highest: 401 }, { lowest: 400 }, { mels: 300 }]) {
      expect(() => melBands({ ...settings, ...change })).toThrow(ConfigError);
    }
  });
});

test("the power spectrum is that of the definition, for any length", () => {
  const values = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(values, (x) => {
      const { length } = x;
      const found = powerSpectrumOf(length)(Float64Array.from(x));
      expect(found.length).toBe(Math.floor(length / 2) + 1);
      found.forEach((power, k) => {
        const angle = (t: number) => (-2 * Math.PI * k * t) / length;
        const real = x.reduce((sum, value, t) => sum + value * Math.cos(angle(t)), 0);
        const imaginary = x.reduce((sum, value, t) => sum + value * Math.sin(angle(t)), 0);
        expect(power).toBeCloseTo(real ** 2 + imaginary ** 2, 9);
      });
    }),
    { numRuns: 100 },
  );
});
