/** The data sets of the battery, as arrays that faults change and as NPY files that a run reads. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RandomStream, randomStream } from "../../../src/base/random.ts";
import { loadFashionMnist } from "../../../src/data/formats/fashion-mnist.ts";

/** Samples with their class numbers. */
export interface RawPart {
  readonly samples: Uint8Array | Float32Array;
  readonly labels: Int32Array;
}

/** A data set in memory. */
export interface RawData {
  readonly sampleShape: readonly number[];
  readonly classes: number;
  readonly train: RawPart;
  readonly test: RawPart;
}

/** The names of the data sets. */
export type RawDataName = "fashion" | "gratings" | "waves" | "table";

const trainCount = 1536;
const testCount = 1000;

/** Returns a data set; the same seed gives the same samples. */
export async function rawData(name: RawDataName, seed: number): Promise<RawData> {
  if (name === "fashion") return fashion(seed);
  const { sampleShape, classes, draw } = synthetic[name];
  const part = (count: number, key: string): RawPart => {
    const random = randomStream(seed, name, key);
    const length = sampleShape.reduce((product, size) => product * size, 1);
    const samples = name === "gratings" ? new Uint8Array(count * length) : new Float32Array(count * length);
    const labels = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      labels[i] = i % classes;
      draw(i % classes, random, samples.subarray(i * length, (i + 1) * length));
    }
    return { samples, labels };
  };
  return { sampleShape, classes, train: part(trainCount, "train"), test: part(testCount, "test") };
}

/** A part of Fashion-MNIST that the seed chooses. */
async function fashion(seed: number): Promise<RawData> {
  const all = await loadFashionMnist({ trainCount: 12_000, testCount: 2000 });
  const pick = (dataset: typeof all.train, count: number, key: string): RawPart => {
    const indices = randomStream(seed, "fashion", key).permutation(dataset.count).slice(0, count);
    const into = { samples: new Uint8Array(count * 784), targets: new Int32Array(count) };
    dataset.readBatch(indices, into);
    return { samples: into.samples, labels: into.targets };
  };
  return {
    sampleShape: [1, 28, 28],
    classes: 10,
    train: pick(all.train, trainCount, "train"),
    test: pick(all.test, testCount, "test"),
  };
}

interface Synthetic {
  readonly sampleShape: readonly number[];
  readonly classes: number;
  readonly draw: (label: number, random: RandomStream, into: Uint8Array | Float32Array) => void;
}

const features = 24;
/** The centres of the classes of `table`, two for each, so that no plane parts them. */
const centres = (() => {
  const random = randomStream(7, "centres");
  return Array.from({ length: 16 }, () => Float32Array.from({ length: features }, () => random.normal()));
})();

const synthetic: Readonly<Record<Exclude<RawDataName, "fashion">, Synthetic>> = {
  /** Stripes of eight directions in colour, under noise. */
  gratings: {
    sampleShape: [3, 24, 24],
    classes: 8,
    draw(label, random, into) {
      const angle = ((label + 0.6 * (random.uniform() - 0.5)) * Math.PI) / 8;
      const [period, phase] = [4 + 4 * random.uniform(), 2 * Math.PI * random.uniform()];
      const contrast = 20 + 50 * random.uniform();
      const colours = [0, 1, 2].map(() => ({
        base: 70 + 110 * random.uniform(),
        weight: 0.4 + 0.6 * random.uniform(),
      }));
      for (let y = 0; y < 24; y++) {
        for (let x = 0; x < 24; x++) {
          const along = (2 * Math.PI * (x * Math.cos(angle) + y * Math.sin(angle))) / period + phase;
          colours.forEach(({ base, weight }, c) => {
            const value = base + weight * contrast * Math.sin(along) + 38 * random.normal();
            into[(c * 24 + y) * 24 + x] = Math.max(0, Math.min(255, Math.round(value)));
          });
        }
      }
    },
  },
  /** Sums of two sines, whose frequencies tell the class, under noise. */
  waves: {
    sampleShape: [1, 64],
    classes: 10,
    draw(label, random, into) {
      const tones = [1.5 + 0.9 * label, 12 - 0.7 * label].map((frequency) => ({
        frequency: frequency + 0.3 * random.normal(),
        phase: 2 * Math.PI * random.uniform(),
        strength: 0.6 + 0.8 * random.uniform(),
      }));
      for (let t = 0; t < 64; t++) {
        const value = tones.reduce(
          (sum, { frequency, phase, strength }) =>
            sum + strength * Math.sin((2 * Math.PI * frequency * t) / 64 + phase),
          0,
        );
        into[t] = value + 0.45 * random.normal();
      }
    },
  },
  /** Rows of a table: two clusters a class. */
  table: {
    sampleShape: [features],
    classes: 8,
    draw(label, random, into) {
      const centre = centres[label + 8 * random.integerBelow(2)] ?? [];
      for (let i = 0; i < features; i++) into[i] = (centre[i] ?? 0) + 1.35 * random.normal();
    },
  },
};

/** Writes a data set as NPY files that `data.folder` takes. */
export function writeData(folder: string, { sampleShape, train, test }: RawData): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, part] of [["train", train] as const, ["test", test] as const]) {
    writeFileSync(join(folder, `x_${name}.npy`), npy(part.samples, [part.labels.length, ...sampleShape]));
    writeFileSync(join(folder, `y_${name}.npy`), npy(part.labels, [part.labels.length]));
  }
}

/** NPY version 1. */
function npy(data: Uint8Array | Float32Array | Int32Array, shape: readonly number[]): Buffer {
  const type = data instanceof Uint8Array ? "|u1" : data instanceof Float32Array ? "<f4" : "<i4";
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const header = `${text.padEnd(64 * Math.ceil((text.length + 11) / 64) - 11)}\n`;
  const start = Buffer.alloc(10);
  start.write("\x93NUMPY\x01\x00", "latin1");
  start.writeUInt16LE(header.length, 8);
  return Buffer.concat([
    start,
    Buffer.from(header, "latin1"),
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  ]);
}
