/**
 * Sounds that rise, fall or stay, as folders of WAV files: log-mel features and a network of 1-D convolutions at 8 bits.
 *
 *     npx tsx examples/tasks/keywords.ts
 */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { randomStream, resolveTrainingConfig, startRun } from "subbyte";

const random = randomStream(1, "sounds");
const [rate, folder] = [16_000, mkdtempSync(join(tmpdir(), "sounds-"))];
const slopes = { falls: -1, rises: 1, stays: 0 };
for (const [name, slope] of Object.entries(slopes)) {
  mkdirSync(join(folder, "data", name), { recursive: true });
  for (let number = 0; number < 60; number++) {
    const [pitch, change] = [random.uniform(2200, 2800), slope * random.uniform(1500, 2500)];
    const file = Buffer.alloc(44 + 2 * rate);
    file.write("RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0", "latin1");
    file.writeUInt32LE(36 + 2 * rate, 4);
    file.writeUInt32LE(rate, 24);
    file.writeUInt32LE(2 * rate, 28);
    file.write("\x02\0\x10\0data", 32, "latin1");
    file.writeUInt32LE(2 * rate, 40);
    for (let i = 0; i < rate; i++) {
      const [t, noise] = [i / rate, random.normal(0, 800)];
      file.writeInt16LE(
        Math.round(4000 * Math.sin(2 * Math.PI * (pitch * t + (change * t * (t - 1)) / 2)) + noise),
        44 + 2 * i,
      );
    }
    writeFileSync(join(folder, "data", name, `${number}.wav`), file);
  }
}
const text = JSON.stringify({
  model: { file: fileURLToPath(new URL("keywords.onnx", import.meta.url)) },
  data: { folder: join(folder, "data") },
  train: { epochs: 20, batchSize: 16, optimizer: { name: "adam", learningRate: 0.005 } },
  quantization: { preset: "lsq", weightBits: 8, activationBits: 8 },
});
export const { summary } = await startRun({ config: resolveTrainingConfig({ name: "example", text }), parent: folder });
console.log(`accuracy ${(100 * summary.accuracy).toFixed(1)} %`);
