/**
 * Folders of images and masks, as labelling programs write them: bright and dark squares on a grey ground.
 *
 *     npx tsx examples/tasks/masks.ts
 */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { randomStream, resolveTrainingConfig, startRun } from "subbyte";

const random = randomStream(1, "masks");
const [side, folder] = [12, mkdtempSync(join(tmpdir(), "masks-"))];
for (const kind of ["images", "masks"]) mkdirSync(join(folder, "data", kind), { recursive: true });
writeFileSync(join(folder, "data", "classes.txt"), "background\nbright\ndark\n");
const write = (kind: string, name: string, pixels: Uint8Array) =>
  sharp(pixels, { raw: { width: side, height: side, channels: 1 } })
    .toColourspace("b-w")
    .toFile(join(folder, "data", kind, name));
for (let number = 0; number < 160; number++) {
  const [row, column, size] = [random.integerBelow(7), random.integerBelow(7), random.integerBelow(3) + 3];
  const mask = Uint8Array.from({ length: side * side }, (_, i) => {
    const [y, x] = [Math.floor(i / side) - row, (i % side) - column];
    return y >= 0 && y < size && x >= 0 && x < size ? 1 + (number % 2) : 0;
  });
  await write("masks", `${number}.png`, mask);
  await write(
    "images",
    `${number}.png`,
    mask.map((label) => ([120, 200, 40][label] ?? 0) + random.integerBelow(20)),
  );
}
const text = JSON.stringify({
  model: { file: fileURLToPath(new URL("segmenter.onnx", import.meta.url)) },
  data: { folder: join(folder, "data") },
  train: { epochs: 10, batchSize: 16, optimizer: { name: "adam", learningRate: 0.01 } },
  quantization: { preset: "lsq", weightBits: 8, activationBits: 8 },
});
export const { summary } = await startRun({ config: resolveTrainingConfig({ name: "example", text }), parent: folder });
console.log(`mean IoU ${(100 * summary.accuracy).toFixed(1)} %`);
