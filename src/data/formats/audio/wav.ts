/** WAV files of one channel as numbers from -1 to 1: "Multimedia Programming Interface and Data Specifications 1.0" (IBM, Microsoft, 1991). */
import { FileFormatError } from "../../../errors.ts";

/** A recording. */
export interface Recording {
  /** Samples per second. */
  readonly rate: number;
  /** -1 to 1. */
  readonly samples: Float64Array;
}

/** The codes of the formats: whole numbers, floats, and the one that names its format further behind. */
const [wholeFormat, floatFormat, extendedFormat] = [1, 3, 0xfffe];

interface Format {
  readonly isFloat: boolean;
  readonly bits: number;
  readonly rate: number;
}

/**
 * Decodes a WAV file: whole numbers of 8, 16, 24 or 32 bits, divided by their largest negative one as torchaudio does, or floats of 32 or 64.
 *
 * @throws FileFormatError for other formats, several channels, and damaged or truncated files.
 */
export function decodeWav(file: Uint8Array, where: string): Recording {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const name = (at: number) => String.fromCharCode(...file.subarray(at, at + 4));
  if (file.length < 12 || name(0) !== "RIFF" || name(8) !== "WAVE") {
    throw new FileFormatError("it is no WAV file: its first bytes are those of another format", {
      where,
      remedy: `Convert it: ffmpeg -i ${where} -ac 1 out.wav.`,
    });
  }
  let format: Format | undefined;
  for (let at = 12; at + 8 <= file.length; ) {
    const length = view.getUint32(at + 4, true);
    const start = at + 8;
    if (start + length > file.length) throw damaged("it ends before its samples do", where);
    if (name(at) === "fmt ") format = readFormat(view, start, length, where);
    if (name(at) === "data") {
      if (format === undefined) throw damaged("its samples come before their format", where);
      return { rate: format.rate, samples: samplesOf(view, start, length, format, where) };
    }
    at = start + length + (length % 2);
  }
  throw damaged("it has no samples", where);
}

function readFormat(view: DataView, start: number, length: number, where: string): Format {
  if (length < 16) throw damaged("its format is cut off", where);
  const stored = view.getUint16(start, true);
  const code = stored === extendedFormat && length >= 26 ? view.getUint16(start + 24, true) : stored;
  const [channels, rate, bits] = [
    view.getUint16(start + 2, true),
    view.getUint32(start + 4, true),
    view.getUint16(start + 14, true),
  ];
  const isFloat = code === floatFormat;
  const isKnown = code === wholeFormat ? [8, 16, 24, 32].includes(bits) : isFloat && [32, 64].includes(bits);
  if (!isKnown) {
    throw new FileFormatError(`its samples have the format ${code} with ${bits} bits`, {
      where,
      remedy: `Convert it to 16 bits: ffmpeg -i ${where} -c:a pcm_s16le out.wav.`,
    });
  }
  if (channels !== 1) {
    throw new FileFormatError(`it has ${channels} channels, one is needed`, {
      where,
      remedy: `Mix them: ffmpeg -i ${where} -ac 1 out.wav.`,
    });
  }
  return { isFloat, bits, rate };
}

function samplesOf(
  view: DataView,
  start: number,
  length: number,
  { isFloat, bits }: Format,
  where: string,
): Float64Array {
  const bytes = bits / 8;
  if (length % bytes !== 0) throw damaged(`${length} bytes are no whole number of samples`, where);
  const samples = Float64Array.from({ length: length / bytes }, (_, i) => {
    const at = start + i * bytes;
    if (isFloat) return bits === 32 ? view.getFloat32(at, true) : view.getFloat64(at, true);
    if (bits === 8) return (view.getUint8(at) - 128) / 128;
    if (bits === 16) return view.getInt16(at, true) / 2 ** 15;
    if (bits === 32) return view.getInt32(at, true) / 2 ** 31;
    return (view.getUint16(at, true) + view.getInt8(at + 2) * 65_536) / 2 ** 23;
  });
  const wrong = samples.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw damaged(`sample ${wrong} is ${samples[wrong]}`, where);
  return samples;
}

function damaged(reason: string, where: string): FileFormatError {
  return new FileFormatError(`the WAV file is damaged: ${reason}`, { where, remedy: "Record or convert it again." });
}
